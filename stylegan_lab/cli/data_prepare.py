"""`stylegan-lab data prepare`: decode the pictures of a training before it."""

from stylegan_lab.cli.composed_data import composed_data
from stylegan_lab.cli.run_parser import Parser
from stylegan_lab.data.folders.folder_data import FolderData
from stylegan_lab.mistake import Mistake
from stylegan_lab.progress import amount


def main(arguments: list[str]) -> int:
    parser = Parser(
        prog="stylegan-lab data prepare",
        description="Decode pictures once, as a training with the same settings would, so that it can begin at once.",
        epilog="example: stylegan-lab data prepare data=unpaired data.root=photos data.size=256 data.load_size=286",
    )
    parser.add_argument("overrides", metavar="KEY=VALUE", nargs="*", help="settings, as of train")
    data = composed_data(parser.parse_args(arguments).overrides)
    if not isinstance(data, FolderData):
        raise Mistake(
            f"{type(data).__name__} reads no files, so there is nothing to prepare; give data=unpaired or another"
        )
    folder = data.prepare()
    for note in data.notes:
        print(f"           {note}")
    print(f"cache      {folder}  ({amount(sum(file.stat().st_size for file in folder.glob('*.pixels')))})")
    return 0
