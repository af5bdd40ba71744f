"""Which class of a plan is which of a dataset."""

from pathlib import Path

import pytest

from plugrt.plugins import ModelError
from yolo_example.evaluation import (
    map_by_name,
    read_renaming,
)


def test_classes_are_mapped_by_name() -> None:
    mapping = map_by_name(["sofa", "Cat", "tv monitor"], ["cat", "couch", "tv"], {"sofa": "couch"})
    assert mapping.to_dataset == {0: 1, 1: 0}
    assert mapping.names == {0: "cat", 1: "couch"}
    assert mapping.renamed == (("sofa", "couch"),)
    assert mapping.only_in_plan == ("tv monitor",)
    assert mapping.only_in_dataset == ("tv",)


def test_two_classes_may_become_one_and_one_none() -> None:
    renaming = {"truck": "vehicle", "car": "vehicle", "bus": ""}
    mapping = map_by_name(["car", "truck", "bus"], ["vehicle", "bus"], renaming)
    assert mapping.to_dataset == {0: 0, 1: 0}
    assert mapping.only_in_plan == ("bus",)


def test_wrong_mappings_are_refused() -> None:
    with pytest.raises(ModelError, match="'sofa' is mapped, but the plan's classes are cat"):
        map_by_name(["cat"], ["cat"], {"sofa": "cat"})
    with pytest.raises(ModelError, match="'cat' is mapped to 'lion'"):
        map_by_name(["cat"], ["cat"], {"cat": "lion"})
    with pytest.raises(ModelError, match="no class is common"):
        map_by_name(["cat"], ["dog"])


def test_renamings_are_read(tmp_path: Path) -> None:
    path = tmp_path / "map"
    path.write_text("# plan = dataset\nsofa = couch\n\ntv monitor=tv # old\nbus =\n")
    assert read_renaming(path) == {"sofa": "couch", "tv monitor": "tv", "bus": ""}
    for text, said in (("\nsofa couch\n", ":2: 'sofa couch'"), ("a=b\na=c\n", ":2: 'a' is mapped")):
        path.write_text(text)
        with pytest.raises(ModelError, match=said):
            read_renaming(path)
