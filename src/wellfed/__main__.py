"""The program: `wellfed`, `python -m wellfed`."""

import gc


def main() -> None:
    """Run the command line."""
    gc.set_threshold(100_000, 20, 20)  # a start makes many objects and no rubbish, looked for at length
    from wellfed import bundle

    modules = bundle.use()
    from wellfed.cli.main import main as run

    try:
        run()
    finally:
        bundle.keep(modules)
        gc.freeze()  # nothing is left to collect when the process ends: a sixth of a short plan's time


if __name__ == "__main__":
    main()
