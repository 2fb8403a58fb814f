"""What commands share: options, their reading, and errors as sentences."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from transpike import jobs
from transpike.cli import show
from transpike.errors import ArgumentError, TranspikeError

INTERRUPTED, UNEXPECTED = 130, 70


@dataclass
class Settings:
    """Options before the command."""

    debug: bool = False


SETTINGS = Settings()


def sentence(command: Callable[..., None]) -> Callable[..., None]:
    """Make errors of a command sentences on standard error, without a traceback unless --debug asks for one."""

    @functools.wraps(command)
    def guarded(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except KeyboardInterrupt:
            show.err.print("Interrupted. Nothing half-written was left; evaluations go on with --resume.")
            raise typer.Exit(INTERRUPTED) from None
        except TranspikeError as error:
            if SETTINGS.debug:
                raise
            show.err.print(f"[red]Error:[/red] {show.escaped(str(error))}")
            raise typer.Exit(2) from None
        except (typer.Exit, BrokenPipeError):
            raise
        except Exception as error:
            if SETTINGS.debug:
                raise
            words = f"{type(error).__name__}: {error}"
            show.err.print(f"[red]Unexpected error:[/red] {show.escaped(words)} Run transpike --debug ... and report it.")
            raise typer.Exit(UNEXPECTED) from None

    return guarded


Model = Annotated[
    str,
    typer.Argument(
        help="package.module:factory, file.py:factory, an .onnx, .pt2 or .keras file, a directory or name of Hugging Face."
    ),
]
Weights = Annotated[str | None, typer.Option(help="State dict: .safetensors or a PyTorch file; of a Keras model .weights.h5.")]
Data = Annotated[
    str,
    typer.Option(
        help="Arrays (.npz, .npy), idx files, a folder of classes, event recordings, hf:owner/name, or 'digits'; data@split "
        "names a split. See docs/data.md."
    ),
]
Samples = Annotated[int | None, typer.Option(min=1, help="Use the first so many samples.")]
Numbers = Annotated[str | None, typer.Option(help="Per channel, as in training: 0.485,0.456,0.406")]
Size = Annotated[str | None, typer.Option(help="Height and width of images, or of the sensor of events: 224,224")]
StepMs = Annotated[float | None, typer.Option("--step-ms", help="Milliseconds of a time step of event recordings.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
RASTER_HELP = "Layer whose spikes to draw, or layer:3,17 for neurons of it; may be repeated."
Seed = Annotated[int, typer.Option(help="Seed of random input spikes.")]


def numbers(text: str | None, name: str) -> tuple[float, ...]:
    """Read comma-separated numbers."""
    try:
        return tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise ArgumentError(f"{name} must be numbers with commas between, not {text!r}.") from None


def populations(texts: list[str]) -> tuple[int | None, tuple[tuple[str, int], ...]]:
    """Read SIZE, of all populations, and PATTERN=SIZE, of those of some layers."""
    sizes: dict[str, int] = {}
    for text in texts:
        pattern, _, size = text.rpartition("=")
        if not size.isdecimal() or int(size) < 1 or pattern in sizes:
            raise ArgumentError(f"--population is a size such as 1000, or for some layers '*.forget_gate=5000', not {text!r}.")
        sizes[pattern] = int(size)
    return sizes.pop("", None), tuple(sizes.items())


def choice(
    data: str,
    samples: int | None,
    mean: str | None,
    std: str | None,
    size: str | None = None,
    step_ms: float | None = None,
) -> jobs.DataChoice:
    """Return the choice of data that options describe."""
    return jobs.DataChoice(
        data=data,
        samples=samples,
        mean=numbers(mean, "--mean"),
        std=numbers(std, "--std"),
        size=sides(size),
        step_ms=step_ms,
    )


def sides(text: str | None) -> tuple[int, int] | None:
    """Read a height and a width."""
    if text is None:
        return None
    parts = [int(part) for part in text.split(",") if part.strip().isdecimal()]
    if len(parts) != text.count(",") + 1 or len(parts) != 2 or min(parts) < 1:  # noqa: PLR2004 - height and width
        raise ArgumentError(f"--size is height and width, such as 224,224, not {text!r}.")
    return parts[0], parts[1]
