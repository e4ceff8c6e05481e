"""`stylegan-lab import`: create a run from a generator that was trained with other code."""

from argparse import Namespace
from pathlib import Path

from stylegan_lab.errors import UserError
from stylegan_lab.files.weights_file import read_weights_file
from stylegan_lab.importing.detection import find_generators, read_generators
from stylegan_lab.importing.imported import ImportedGenerator, ImportOptions
from stylegan_lab.importing.imported_run import create_run, source_of
from stylegan_lab.training.loaded_model import load


def main(options: Namespace) -> int:
    choices = ImportOptions(options.norm, options.train_mode)
    contents = read_weights_file(options.file)
    try:
        read = read_generators(contents, choices, options.network)
        others = [name for name in find_generators(contents) if name not in read]
    except UserError as error:
        raise UserError(error.code, f"{options.file}: {error}") from error
    generators, sources = list(read.values()), [source_of(options.file, name) for name in read]
    print_found(options.file, generators[0])
    notes = list(generators[0].notes)
    if options.reverse is not None:
        reverse, source = _reverse(options.reverse, choices)
        generators, sources = [generators[0], reverse], [sources[0], source]
    if len(generators) == 2 and generators[1].settings != generators[0].settings:
        if options.reverse is not None:
            raise UserError(
                "import.architectures_differ",
                f"--reverse {options.reverse} is {_differences(*generators)}; both generators need the same architecture",
            )
        notes.append(f"{sources[1]['network']} is left out, since it is {_differences(*generators)}")
        generators, sources = generators[:1], sources[:1]
    if len(generators) == 2 and options.train_mode:
        raise UserError(
            "import.train_mode_unsupported",
            "--train-mode supports one generator, but two would be imported; leave it out, or import one generator "
            "(--network NAME, without --reverse)",
        )
    if others:
        notes.append(f"the file has other generators: --network {' or '.join(name or '.' for name in others)}")
    for note in notes:
        print(f"note       {note}")
    run = create_run(generators, sources, options.output, options.settings)
    model = load(run)
    directions = f", {' and '.join(model.directions)}" if model.directions else ""
    print(f"model      {type(model.module).__name__}{directions}")
    print(f"run        {run.folder}")
    command = "translate RUN photos/ out/" if model.directions else "generate RUN images.png"
    print(f"next       stylegan-lab {command.replace('RUN', str(run.folder))}")
    return 0


def print_found(path: Path, generator: ImportedGenerator) -> None:
    parameters = sum(tensor.numel() for tensor in generator.weights.values())
    print(f"found      {generator.architecture} in {path.name}, {parameters:,} values")
    for name, fact in generator.facts.items():
        print(f"           {name}: {fact}")


def _reverse(path: Path, choices: ImportOptions) -> tuple[ImportedGenerator, dict[str, object]]:
    try:
        name, generator = next(iter(read_generators(read_weights_file(path), choices).items()))
    except UserError as error:
        raise UserError(error.code, f"--reverse {path}: {error}") from error
    return generator, source_of(path, name)


def _differences(one: ImportedGenerator, other: ImportedGenerator) -> str:
    names = [name for name in {**one.settings, **other.settings} if one.settings.get(name) != other.settings.get(name)]
    changed = ", ".join(f"{name} {other.settings.get(name)} instead of {one.settings.get(name)}" for name in names)
    return f"{other.architecture} with {changed}" if changed else other.architecture
