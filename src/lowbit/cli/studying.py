# SPDX-License-Identifier: Apache-2.0
"""`lowbit compare --study NAME`: several comparisons, experiments and a page."""

from collections.abc import Mapping
from typing import Any

from lowbit import records
from lowbit.cli import options
from lowbit.cli.progress import ShownProgress
from lowbit.cli.session import ROW_FAILED, Session
from lowbit.errors import InputError

TAKEN = ("dataset", "image_size", "seeds", "epochs", "out", "engine", "fresh")
OF_EVERY_COMMAND = ("study", "model_arg", "as_json", "verbose", "quiet", "debug")


def make_study(session: Session, name: str, model_args: Mapping[str, str], given: Mapping[str, Any]) -> None:
    """Run the study; `given` are the options of the command line.

    Raises InputError for an option that a study does not take.
    """
    others = [option for option in given if option not in (*TAKEN, *OF_EVERY_COMMAND)]
    others += [f"model-arg {word}" for word in model_args if word != "weights"]
    if others:
        raise InputError(
            received=f"--study {name} with --{others[0].replace('_', '-')}",
            expected=f"no options but --{', --'.join(TAKEN).replace('_', '-')} and --model-arg weights=FOLDER: "
            "the study sets the others",
            mend="leave it out, or run lowbit compare without --study",
        )
    from lowbit.studies import study

    asked: dict[str, Any] = {option: value for option, value in given.items() if option in TAKEN}
    if "image_size" in asked:
        asked["image_size"] = options.image_size(asked["image_size"])
    with ShownProgress(session) as progress:
        made = study(name, weights=model_args.get("weights", "imagenet"), on_event=progress.on_job, **asked)
    data = {
        "study": name,
        "page": str(made.page),
        "results": {part: f"{made.folder / part / 'results.json'}" for part in made.results},
        "experiments": records.encode(dict(made.experiments)),
    }
    session.result(data, made.page.read_text(encoding="utf-8"))
    session.note(f"\nThe page, its pictures and results lie in {made.page.parent}")
    session.exit_code = session.exit_code if made.ok else ROW_FAILED
