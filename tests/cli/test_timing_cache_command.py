"""`plugrt timing-cache`: files are joined and shown, and unusable ones refused."""

from plugrt import TimingCache
from plugrt.cli import main


def write(path, processor, **seconds):
    cache = TimingCache({"device": "cpu", "processor": processor})
    cache.seconds = seconds
    cache.save(path)
    return path


def test_merging(tmp_path, succeeds):
    target = write(tmp_path / "out", "one", a=1.0)
    first = write(tmp_path / "first", "one", a=2.0, b=3.0)
    second = write(tmp_path / "second", "two", b=4.0)
    write(second, "one", b=5.0, c=6.0)
    printed = succeeds("timing-cache", "merge", target, first, second)
    found = TimingCache.load(target, {"device": "cpu", "processor": "one"})
    assert found.seconds == {"a": 1.0, "b": 3.0, "c": 6.0}
    assert [(d["processor"], count) for d, count in found.devices] == [("one", 3), ("two", 1)]
    assert [line.split()[-1] for line in printed.splitlines()[2:]] == ["3", "1"]
    assert succeeds("timing-cache", "show", target) == printed
    succeeds("timing-cache", "merge", tmp_path / "new" / "out", target)
    assert (tmp_path / "new" / "out").read_bytes() == target.read_bytes()


def test_refusals(tmp_path, refused):
    good = write(tmp_path / "good", "one", a=1.0)
    bad = tmp_path / "bad"
    bad.write_text("rubbish")
    target = tmp_path / "out"
    for action in (("merge", target, good), ("show",)):
        message = refused("timing-cache", *action, bad)
        assert "cannot be used" in message
        assert "give a file made by --timing-cache" in message
        assert "absent" in refused("timing-cache", *action, tmp_path / "absent")
    assert not target.exists()
    assert "is a folder" in refused("timing-cache", "merge", tmp_path, good)


def test_a_damaged_target_is_told(tmp_path, capsys):
    good, target = write(tmp_path / "good", "one", a=1.0), tmp_path / "out"
    target.write_text("rubbish")
    assert main(["timing-cache", "merge", str(target), str(good)]) == 0
    assert "plugrt: warning: timing cache" in capsys.readouterr().err
    assert TimingCache.load(target, {"device": "cpu", "processor": "one"}).seconds == {"a": 1.0}
