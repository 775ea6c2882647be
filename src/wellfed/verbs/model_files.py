"""The files that a launch is to have: at hand, the demo's, or fetched from a hub."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from wellfed.catalog.published import gguf_repositories
from wellfed.errors import BadInput, WellfedError
from wellfed.homes import expanded
from wellfed.message import sentence
from wellfed.nouns.plan import Plan
from wellfed.perf.memory.towers import PLACE
from wellfed.verbs.commands import READS_GGUF, hub_repository, listed_gguf, model_reference

if TYPE_CHECKING:
    from wellfed.launch.models import Download

Told = Callable[[str], None]


def demo_or(model: str, say: Told = lambda _: None, fetch: bool = True) -> str:
    """The demo model's file for `demo`, else the name itself; where nothing is fetched, the catalogue's name for it."""
    from wellfed.launch.demo_names import CATALOGUE_NAME, DEMO_NAMES

    if model not in DEMO_NAMES:
        return model
    from wellfed.launch.demo import demo_at_hand, demo_file

    if not fetch and demo_at_hand() is None:
        return CATALOGUE_NAME
    return str(demo_file(lambda text: say(str(text))))


def model_file(model: str, plan: Plan, repo: str | None, hub: str, say: Told) -> str:
    """The model's file, or the repository that a serving engine loads by itself."""
    from wellfed.launch.demo import demo_path
    from wellfed.launch.demo_names import CATALOGUE_NAME
    from wellfed.launch.models import at_hand, fetch
    from wellfed.units import format_bytes

    if model == CATALOGUE_NAME:
        return str(demo_path())
    path = expanded(model)
    if path.exists():
        return str(path.resolve())
    if plan.layout.engine not in READS_GGUF:
        return model_reference(model, plan, repo).argument
    places = (repo,) if repo else _places(hub_repository(model, plan), plan)
    download = _first_with_files(places, plan, hub)
    if at_hand(download) is None:
        say(
            sentence(
                "running.fetching-from",
                "fetching {size_bytes} from {repository}",
                size_bytes=format_bytes(download.size_bytes),
                repository=download.repository,
            )
        )
    return str(fetch(download))


def _places(repository: str, plan: Plan) -> tuple[str, ...]:
    """Where the GGUF files are looked for: what public lists name, then by rule."""
    listed = listed_gguf(repository, plan)
    return (*((listed.repository,) if listed else ()), *gguf_repositories(repository))


def with_projector(plan: Plan, model_file: str) -> Plan:
    """The plan with the file of its tower for pictures, where it has one that nobody named. Raises BadInput where no
    such file lies beside the model's.
    """
    from wellfed.launch.models import projector_beside

    options = dict(plan.layout.options)
    if plan.layout.engine not in READS_GGUF or not options.get(PLACE) or options.get("mmproj_file"):
        return plan
    beside = projector_beside(Path(model_file))
    if beside is None:
        hint = sentence("running.projector.hint", "--set mmproj=FILE names it")
        raise BadInput(sentence("running.projector", "no tower for pictures (mmproj-*.gguf) beside the model"), hint)
    with_file = (*plan.layout.options, ("mmproj_file", str(beside)))
    return replace(plan, layout=replace(plan.layout, options=with_file))


def _first_with_files(repositories: Sequence[str], plan: Plan, hub: str) -> Download:
    """The files in the first repository that has them. Raises the first one's error when none has."""
    from wellfed.launch.models import gguf_download

    first_error: WellfedError | None = None
    for repository in repositories:
        try:
            return gguf_download(repository, plan.layout.quantisation, hub, plan.workload.pictures is not None)
        except WellfedError as error:
            first_error = first_error or error
            if error.kind == "unreachable":
                break
    raise first_error or BadInput(sentence("running.no-repository-known", "no repository is known"))
