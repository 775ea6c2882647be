"""Tools for agents over the Model Context Protocol: short, typed answers with units, intervals and what was assumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from mcp.server import MCPServer
from pydantic import BaseModel, Field

from wellfed import __version__
from wellfed.serve.answering import document
from wellfed.serve.api import PASTED, is_path
from wellfed.serve.fields import words
from wellfed.serve.pool import Pool
from wellfed.serve.settings import Settings
from wellfed.serve.worker import UPLOAD, Job
from wellfed.units import format_bytes, format_rate

_MOST_TEXT = 400_000  # characters of a paste
_INSTRUCTIONS = (
    "Facts about running open language models on people's own hardware. Machines are written in a line, such as "
    "'2x rtx 4090, ryzen 9 7950x, 64gb ddr5-6000'; without one it is the machine this server runs on. Speeds are "
    "predictions with their 80 % interval; ? means unknown, never zero. Tell the interval, not the value alone."
)

Model = Annotated[str, Field(description="Name, hub id or Ollama tag, e.g. qwen3-32b or deepseek-ai/DeepSeek-R1")]
MachineLine = Annotated[str | None, Field(description="A machine in a line; none: this one")]
Dumps = Annotated[
    str | None, Field(description="Instead of a machine: its dumps as pasted (nvidia-smi, lspci, lscpu, dmesg ...)")
]


class Plan(BaseModel):
    """One way to run it. Rates in tokens/s, times in seconds, [low, high] holding 80 %."""

    engine: str
    weights: str
    layout: str
    decode_tok_s_per_user: list[float]
    first_token_s: list[float]
    total_tok_s: list[float]
    limited_by: str
    room_for_users: int | None
    largest_context: int | None


class PlanAnswer(BaseModel):
    """Whether it fits, how fast, and what to type."""

    verdict: str
    machine: str
    model: str
    fits: bool
    best: Plan | None
    others: list[str]
    way_out: list[str]
    next_commands: list[str]
    next_upgrade: list[str]
    assumed: list[str]


class FitAnswer(BaseModel):
    """Models that the machine serves well, best first."""

    use: str
    models: list[str]


class CheckAnswer(BaseModel):
    """Faults between CPU, memory, PCIe, NUMA and GPUs. `lost` is what a fault takes from the model's tokens/s."""

    machine: str
    faults: list[dict[str, Any]]
    unknown: list[str]
    passed: int


class Named(BaseModel):
    """What a name means, or why it means nothing."""

    models: list[dict[str, Any]]


def server(pool: Pool, settings: Settings) -> MCPServer:
    """The tools, each answered by a worker of the pool."""
    mcp = MCPServer("wellfed", title="wellfed", version=__version__, instructions=_INSTRUCTIONS, log_level="ERROR")
    _add_model_tools(mcp, pool)
    _add_machine_tools(mcp, pool)
    _add_glossary(mcp, pool)
    if settings.allow_run:
        _add_acts(mcp, pool)
    return mcp


async def _answer_of(
    pool: Pool, name: str, options: Mapping[str, Any], uploads: Mapping[str, bytes] | None = None
) -> Any:
    """A command's document, as a worker prints it. Raises ValueError for what the command refuses."""
    for value in options.values():
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and is_path(text):
                raise ValueError("a file of the server cannot be named")
    command = words(name, options)
    if uploads and options.get("on") is not None:
        raise ValueError("a machine is either described or pasted, not both")
    if uploads:
        command = (name, PASTED[name], UPLOAD, *command[1:])
    answer = document(await pool.ask(Job(command, "en", uploads or {})))
    if isinstance(answer, dict) and answer.get("error"):
        error = answer["error"]
        raise ValueError(f"{error['message']}" + (f" ({error['hint']})" if error.get("hint") else ""))
    return answer


def _add_model_tools(mcp: MCPServer, pool: Pool) -> None:
    @mcp.tool()
    async def plan(
        model: Model,
        machine: MachineLine = None,
        users: Annotated[int, Field(ge=1, le=100_000, description="Users at a time")] = 1,
        context: Annotated[int | None, Field(ge=1, description="Longest context to make room for, in tokens")] = None,
        engine: Annotated[str | None, Field(description="llama.cpp, vllm, sglang ...")] = None,
        paste: Dumps = None,
    ) -> PlanAnswer:
        """Does a model fit on a machine, how fast would it be, what limits it, and what to type to start it."""
        options = {"model": model, "on": machine, "concurrency": users, "context": context, "engine": engine}
        return _plan_answer(await _answer_of(pool, "plan", options, _upload(paste)))

    @mcp.tool()
    async def fit(
        machine: MachineLine = None,
        use: Annotated[str, Field(description="chat, code, agent, rag ...")] = "chat",
        top: Annotated[int, Field(ge=1, le=30)] = 8,
        paste: Dumps = None,
    ) -> FitAnswer:
        """Which models a machine serves well, best first."""
        reply = await _answer_of(pool, "fit", {"on": machine, "for": use, "top": top}, _upload(paste))
        return FitAnswer(use=reply["use"], models=[_fit_line(model) for model in reply["models"]])

    @mcp.tool()
    async def resolve(names: Annotated[list[str], Field(max_length=50)]) -> Named:
        """Which model each name means, how large it is, in which format; or why it means nothing."""
        return Named(
            models=[_resolved(name) for name in (await _answer_of(pool, "resolve", {"names": names}))["names"]]
        )


def _add_machine_tools(mcp: MCPServer, pool: Pool) -> None:
    @mcp.tool()
    async def check(
        machine: MachineLine = None,
        paste: Dumps = None,
        model: Annotated[str | None, Field(description="Price every fault for this model")] = None,
    ) -> CheckAnswer:
        """Is a machine put together and set up to feed its GPUs? Faults with price and remedy."""
        return _check_answer(await _answer_of(pool, "check", {"on": machine, "model": model}, _upload(paste)))

    @mcp.tool()
    async def watch(
        name: Annotated[
            str | None, Field(description="An engine that wellfed started; none: the one that runs")
        ] = None,
        seconds: Annotated[int, Field(ge=1, le=60)] = 5,
    ) -> dict[str, Any]:
        """What a running engine of this machine does now, and what slows it."""
        return await _watched(pool, name, seconds)


def _add_glossary(mcp: MCPServer, pool: Pool) -> None:
    @mcp.tool()
    async def explain(term: str) -> str:
        """What a term means, in English and Chinese (TP, KV cache, prefill, NUMA ...); what a fault is, by its id."""
        reply = await _answer_of(pool, "explain", {"term": term})
        return "\n".join((*map(_term, reply["terms"]), *map(_explained, reply["faults"])))


def _upload(paste: str | None) -> dict[str, bytes] | None:
    return None if paste is None else {"paste.txt": paste[:_MOST_TEXT].encode()}


def mounted(pool: Pool, settings: Settings) -> tuple[Any, Any]:
    """The ASGI application of the streamable transport, and the session manager that must run with it."""
    from mcp.server.transport_security import TransportSecuritySettings

    mcp_server = server(pool, settings)
    # the guard in front has checked Host and Origin already
    security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    app = mcp_server.streamable_http_app(
        streamable_http_path="/", stateless_http=True, json_response=True, transport_security=security
    )
    return app, mcp_server.session_manager


def over_stdio(settings: Settings, pool: Pool) -> None:
    """Serve the tools on standard input and output until it closes."""
    import asyncio

    async def serving() -> None:
        try:
            await server(pool, settings).run_stdio_async()
        finally:
            pool.close()

    asyncio.run(serving())


def _add_acts(mcp: MCPServer, pool: Pool) -> None:
    @mcp.tool()
    async def stop(name: str) -> str:
        """Stop an engine that wellfed started."""
        answer = await pool.ask(Job(("stop", "--", name)))
        return answer.text.strip() or str((answer.error or {}).get("message"))

    @mcp.tool()
    async def run(model: Model, context: int | None = None) -> str:
        """Start an engine for a model on this machine, detached."""
        options = ("--context", str(context)) if context else ()
        answer = await pool.ask(Job(("run", "--detach", *options, "--", model)), most_s=3600.0)
        return answer.text.strip() or str((answer.error or {}).get("message"))


async def _watched(pool: Pool, name: str | None, seconds: int) -> dict[str, Any]:
    command = ("watch", "--json", "--for", f"{seconds}s", *(("--", name) if name else ()))
    answer = await pool.ask(Job(command), most_s=seconds + 30.0)
    if answer.error is not None:
        raise ValueError(str(answer.error["message"]))
    import json

    lines = [line for line in answer.text.splitlines() if line.startswith("{")]
    last: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    return {key: last[key] for key in ("target", "diagnosis", "findings", "rates") if key in last} or last


def _span(quantity: Mapping[str, float] | None) -> list[float]:
    if not quantity:
        return []
    return [float(f"{quantity[key]:.3g}") for key in ("low", "value", "high")]


def _plan(plan: Mapping[str, Any]) -> Plan:
    layout = plan["layout"]
    return Plan(
        engine=layout["engine"],
        weights=layout["quantisation"],
        layout=plan["description"],
        decode_tok_s_per_user=_span(plan["decode_tok_s"]),
        first_token_s=_span(plan["ttft_s"]),
        total_tok_s=_span(plan["total_tok_s"]),
        limited_by=plan["limited_by"],
        room_for_users=plan["max_sequences"],
        largest_context=plan["max_context"],
    )


def _plan_answer(document: Mapping[str, Any]) -> PlanAnswer:
    plans: Sequence[Mapping[str, Any]] = document["plans"]
    miss = document.get("near_miss") or {}
    best = plans[0] if plans else None
    levers: Sequence[Mapping[str, Any]] = miss.get("levers", [])[:5]
    to_type = [best] if best else [lever["plan"] for lever in levers]
    return PlanAnswer(
        verdict=f"{document['verdict']['kind'] or 'does not fit'}: {document['verdict']['why']}",
        machine=document["machine"]["name"],
        model=document["model"]["id"],
        fits=bool(plans),
        best=_plan(best) if best else None,
        others=[_line(entry) for entry in plans[1:4]],
        way_out=[f"{lever['kind']}: {lever['change']}" for lever in levers],
        next_commands=[step["command"] for plan in to_type for step in plan.get("next", [])],
        next_upgrade=[upgrade["change"] for upgrade in document.get("upgrades", [])[:2]],
        assumed=[entry["text"] for entry in (*document.get("assumptions", []), *(best or {}).get("assumptions", []))][
            :6
        ],
    )


def _line(plan: Mapping[str, Any]) -> str:
    layout = plan["layout"]
    rate = plan["decode_tok_s"]
    return (
        f"{layout['engine']} {layout['quantisation']}, {plan['description']}: {format_rate(rate['value'])} tok/s a user"
    )


def _fit_line(model: Mapping[str, Any]) -> str:
    quality = model.get("quality")
    quality_text = f"{quality['benchmark']} {quality['value']}" if quality else "quality ?"
    rate, first = model["decode_tok_s"], model["ttft_s"]
    return (
        f"{model['id']}: {quality_text}; {format_rate(rate['value'])} tok/s "
        f"[{format_rate(rate['low'])}, {format_rate(rate['high'])}], first token "
        f"{first['value']:.2g} s, context up to {model['max_context']}"
    )


def _term(term: Mapping[str, Any]) -> str:
    return " / ".join(f"{name}: {term['texts'].get(language, '')}" for language, name in term["names"].items())


def _explained(fault: Mapping[str, Any]) -> str:
    """A fault in a paragraph: why, what mends it, what sees it."""
    seen_by = [entry["id"] for entry in (*fault["checks"], *fault["diagnoses"])]
    steps = [f"{entry['text'].removeprefix('# ')} ({entry['safety']})" for entry in fault["remedies"]]
    parts = (fault["title"], fault["why"], "; ".join(steps), fault["price"], ", ".join(seen_by))
    return " | ".join(entry for entry in parts if entry)


def _check_answer(document: Mapping[str, Any]) -> CheckAnswer:
    faults, unknown, passed = [], [], 0
    for finding in document["findings"]:
        if finding["verdict"] in ("fail", "warn"):
            cost = finding.get("cost") or {}
            faults.append(
                {
                    "check": finding["id"],
                    "verdict": finding["verdict"],
                    "subject": finding["subject"],
                    "why": finding["why"],
                    "lost_tok_s": cost.get("decode_tok_s"),
                    "fix": finding["fix"][:3],
                }
            )
        elif finding["verdict"] == "unknown":
            unknown.append(finding["id"])
        else:
            passed += finding["verdict"] == "pass"
    return CheckAnswer(
        machine=document["machine"]["name"], faults=faults[:20], unknown=list(dict.fromkeys(unknown)), passed=passed
    )


def _resolved(entry: Mapping[str, Any]) -> dict[str, Any]:
    if entry.get("error"):
        return {"error": entry["error"]}
    size = entry.get("weight_bytes")
    keys = ("id", "task", "parameters", "active_parameters", "context", "format", "how")
    return {
        **{key: entry.get(key) for key in keys},
        "weights": "?" if size is None else format_bytes(size),
        "assumed": entry.get("assumptions", [])[:3],
    }
