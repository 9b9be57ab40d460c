"""The page's endpoints as tools of an MCP server: what Gradio leaves out of reading their files."""

from typing import Any


def read_lists_of_files(server: Any) -> None:
    """Lets the tools of Gradio's MCP ``server`` take lists of files.

    Gradio notes that the items of "files" are files, and then looks for them by their numbers, in vain: links and
    `data:` addresses would reach the endpoint as bare words.
    """
    convert = server.convert_strings_to_filedata

    def with_numbers(value: Any, positions: list[list[str | int]]) -> Any:
        lists = [place[0] for place in positions if place[1:] == ["items"]]
        numbered = [[name, number] for name in lists for number in range(_length(value, name))]
        return convert(value, [*positions, *numbered])

    server.convert_strings_to_filedata = with_numbers


def _length(value: Any, name: Any) -> int:
    files = value.get(name) if isinstance(value, dict) else None
    return len(files) if isinstance(files, list) else 0
