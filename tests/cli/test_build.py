"""`plugrt build`: the parser's choice and options, the summary, refusals that leave nothing."""

import json
import os

import numpy as np
import pytest

import plugrt


@pytest.fixture
def plan(tmp_path):
    return tmp_path / "out.plan"


def layers(plan) -> list[str]:
    with plugrt.Engine.load(plan) as engine:
        network = engine.planned.network
        return [name for layer in network.layers for name in (layer.name, *layer.fused)]


def test_summary_and_plan(toy, plan, succeeds):
    printed = succeeds("build", toy, "--tune", "off", "-o", plan)
    assert "4 before" in printed
    assert "parser toy" in printed
    assert str(plan) in printed
    assert "of the most bytes alive at once" in printed
    assert set(layers(plan)) == {"gain", "leaky2", "leaky3", "leaky4"}
    assert [path.name for path in plan.parent.iterdir() if path not in (toy, plan)] == []


def test_parser_options_reach_the_parser(toy, plan, succeeds):
    succeeds(
        "build", "--cut-off", "1", toy, "--gain=-2.5", "--sizes", "2,3", "--tune", "off", "-o", plan
    )
    assert set(layers(plan)) == {"gain", "leaky2"}
    with plugrt.Engine.load(plan) as engine, engine.create_context() as context:
        result = context.execute({"x": np.ones((1, 2, 3), np.float32)})["y"]
    np.testing.assert_allclose(result, np.full((1, 2, 3), -0.25), rtol=1e-6)


def test_switches(toy, plan, succeeds):
    for switch, count in (("--double", 2), ("--no-double", 1)):
        succeeds("build", toy, switch, "-o", plan)
        with plugrt.Engine.load(plan) as engine:
            assert len(engine.outputs) == count


def test_notes_of_the_parser_are_warnings(toy, plan, capsys):
    assert plugrt_main("build", toy, "--kind", "fancy", "-o", plan) == 0
    assert "plugrt: warning: fancy: 3 slopes" in capsys.readouterr().err


def plugrt_main(*words):
    from plugrt.cli import main

    return main([str(word) for word in words])


def test_help_shows_the_options_of_parsers(succeeds):
    printed = " ".join(succeeds("build", "--help").split())
    for option in ("--cut-off", "--double", "--no-double", "--toy-threads", "--level", "{plain,fa"):
        assert option in printed
    assert "options of the parser toy" in printed
    assert "options of the parsers" in printed
    assert "keep 100 % of the layers" in printed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--cut-off", "many"], "option --cut-off: 'many' is not int"),
        (["--cut-off", "-1"], "-1 is not allowed"),
        (["--gain", "x"], "'x' is not float"),
        (["--sizes", "1,b"], "'1,b' is not tuple[int, ...]"),
        (["--kind", "odd"], "'plain', 'fancy'"),
        (["--level", "3"], "--level is an option of parser other, but the model is read by"),
        (["--parser", "none"], "there is no parser 'none'"),
        (["--deny", "LeakyReLU"], "LeakyReLU"),
        (["--deny", "LeakyRelu"], "LeakyReLU"),
        (["--substitute", "LeakyReLU=Add"], "cannot substitute"),
        (["--substitute", "LeakyReLU"], "write TYPE=BY"),
        (["--batch", "0"], "'0' is not possible"),
        (["--max-workspace", "lots"], "64K"),
        (["--profile", "x=1x4:2x4"], "2 shapes, not 3"),
        (["--profile", "z=1x4:2x4:4x4"], "'z'"),
        (["--profile", "x=4x4:2x4:1x4"], "minimum"),
        (["--profile", "x=1x5:2x5:4x5"], "1x5"),
        (["--profile", "x=1x4:2x4:4x4", "--profile", "x=1x4:2x4:4x4"], "several --profile"),
    ],
)
def test_refusals_leave_nothing(options, message, toy, plan, refused):
    before = set(toy.parent.iterdir())
    assert message in refused("build", toy, "-o", plan, *options)
    assert set(toy.parent.iterdir()) == before


def test_the_parser_is_chosen_by_content(tmp_path, plan, refused):
    model = tmp_path / "model.toy"
    assert str(model) in refused("build", model, "-o", plan)
    model.write_bytes(b"")
    assert "is empty" in refused("build", model, "-o", plan)
    model.write_bytes(bytes(range(256)) * 20)
    assert "no installed parser reads this content" in refused("build", model, "-o", plan)
    model.write_text("BOTH")
    assert "choose with --parser" in refused("build", model, "-o", plan)
    model.write_text("OTHER")
    assert "parser other needs --level" in refused("build", model, "-o", plan)
    options = ("--level", "7", "--cut-off", "head")
    assert "cut_off='head' level=7" in refused("build", model, "-o", plan, *options)
    assert str(tmp_path) in refused("build", tmp_path, "-o", plan)


def test_errors_of_the_model(toy, plan, refused):
    toy.write_text("TOY\n0.1\nsteep\n")
    assert "line 3: 'steep' is no slope" in refused("build", toy, "-o", plan)
    missing = toy.parent / "missing.weights"
    assert str(missing) in refused("build", toy, missing, "-o", plan)
    assert not plan.exists()


def test_targets_that_would_do_harm(toy, tmp_path, refused):
    content = toy.read_bytes()
    weights = tmp_path / "weights"
    weights.write_bytes(b"w")
    for target in (toy, weights):
        assert "would be lost" in refused("build", toy, weights, "-o", target)
        cache = ("--timing-cache", target)
        assert "would be lost" in refused("build", toy, weights, "-o", tmp_path / "p", *cache)
    assert "is a folder" in refused("build", toy, "-o", tmp_path)
    assert "no regular file" in refused("build", toy, "-o", os.devnull)
    assert "there is no folder" in refused("build", toy, "-o", tmp_path / "none" / "p")
    assert "is a file" in refused("build", toy, "-o", toy / "p")
    assert (toy.read_bytes(), weights.read_bytes()) == (content, b"w")


def test_an_existing_plan_survives_a_failed_build(toy, plan, refused):
    plan.write_bytes(b"former")
    toy.write_text("TOY\nsteep\n")
    refused("build", toy, "-o", plan)
    assert plan.read_bytes() == b"former"


def test_batch_and_profile(toy, plan, succeeds):
    succeeds("build", toy, "-o", plan, "--batch", "3", "--threads", "1", "--tune", "off")
    with plugrt.Engine.load(plan) as engine:
        assert engine.info.profiles == {"N": (1, 3, 3)}
        assert engine.info.threads == 1
    succeeds("build", toy, "-o", plan, "--profile", "x=2x4:3x4:5x4")
    with plugrt.Engine.load(plan) as engine:
        assert engine.info.profiles == {"N": (2, 3, 5)}


def test_timing_cache_is_written(toy, plan, tmp_path, succeeds):
    cache = tmp_path / "caches" / "times.json"
    succeeds("build", toy, "-o", plan, "--sizes", "16,8,8", "--timing-cache", cache)
    (device,) = json.loads(cache.read_text())["devices"]
    assert device["seconds"]


def test_explain_names_every_layer(toy, plan, tmp_path, succeeds, refused):
    file = tmp_path / "why.json"
    printed = succeeds("build", toy, "-o", plan, "--explain", "--explain-json", file)
    assert "What the build decided about the graph" in printed
    assert "How the layers run" in printed
    for name in ("gain", "leaky2", "leaky3", "leaky4"):
        assert any(line.startswith(name) for line in printed.splitlines())
    explained = json.loads(file.read_text())
    told = [name for layer in explained["layers"] for name in (layer["name"], *layer["fused"])]
    assert set(told) == {"gain", "leaky2", "leaky3", "leaky4"}
    assert "would be lost" in refused("build", toy, "-o", plan, "--explain-json", toy)
    assert "would be lost" in refused("build", toy, "-o", plan, "--explain-json", plan)


def test_the_time_for_tuning_is_limited(toy, plan, succeeds, refused):
    sizes = ("--sizes", "16,8,8")
    printed = succeeds("build", toy, *sizes, "-o", plan, "--tune-time", "1e-9", "--explain")
    assert "its 1e-09 s were over before" in printed
    assert "seconds above zero" in refused("build", toy, "-o", plan, "--tune-time", "0")


def test_progress_is_for_terminals(toy, plan, capsys, monkeypatch):
    build = ("build", toy, "--sizes", "16,8,8", "-o", plan)
    assert plugrt_main(*build) == 0
    assert "measured" not in capsys.readouterr().err
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    assert plugrt_main(*build) == 0
    assert "measured" in capsys.readouterr().err


def test_denial_ends_with_the_command(toy, plan, refused, succeeds):
    refused("build", toy, "-o", plan, "--deny", "LeakyReLU")
    succeeds("build", toy, "-o", plan)
