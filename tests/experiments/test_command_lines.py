"""Command lines: one way to name a sweep, help for every setting, what would be run, and files of one's own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from experiments import directions, draw_labels, import_answers, rescore, search, sweep, tables, validity, view
from experiments.config.compose import CONF, compose_config
from experiments.config.help import group_help, groups, settings_of
from experiments.config.hydra_settings import LAUNCHERS
from experiments.config.schema import Config
from experiments.organism import __main__ as organism
from safeguards.bounds import mistyped
from safeguards.cards import explained
from safeguards.errors import SafeguardError

COMMANDS = (sweep, tables, rescore, import_answers, directions, draw_labels, validity, view, search)


@pytest.fixture
def told(tmp_path, monkeypatch, capsys):
    """Runs a command in a new folder: its exit status, or the line with which it ended, and what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(command: Any, *arguments: str) -> tuple[Any, str]:
        monkeypatch.setattr(sys, "argv", [command.__name__, *arguments])
        try:
            command.main()
        except SystemExit as ended:
            return ended.code, capsys.readouterr().out
        return 0, capsys.readouterr().out

    return run


def line(told, *arguments: str, command: Any = sweep) -> str:
    code, printed = told(command, *arguments)
    assert isinstance(code, str), f"accepted: {arguments}"
    assert "\n" not in code
    assert "Traceback" not in code + printed
    return code


# Naming a sweep -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("key", ["output", "name", "judge"])
def test_a_setting_given_as_a_flag_is_told_how_to_write_it(told, command, key):
    if (key in ("judge", "name") and command in (import_answers, directions)) or (key, command) == ("judge", view):
        key = "output"
    assert line(told, f"--{key}", "demo", command=command) == (
        f"--{key}: settings are given as key=value; write {key}=demo"
    )
    assert line(told, f"--{key}=demo", command=command).endswith(f"write {key}=demo")


@pytest.mark.parametrize("command", [sweep, tables, rescore])
def test_a_name_by_itself_is_told_how_to_write_it(told, command):
    assert line(told, "demo", command=command) == "'demo': settings are given as key=value, such as name=demo"


def test_answers_without_a_folder_and_unknown_keys_are_told(told):
    assert line(told, "name=x", command=import_answers).startswith("name the FOLDER: python -m experiments.import_answ")
    assert line(told, "nmae=x", command=tables) == "unknown key 'nmae': did you mean 'name'?"
    assert line(told, "--again", command=tables) == "--again: no such flag here; known: --help, --all, --by, --paper"
    known = "--help, --config-dir, --cfg, --package"
    assert line(told, "--again") == f"--again: no such flag here; known: {known}", "those that help shows"


@pytest.mark.parametrize(
    ("command", "arguments", "complaint"),
    [
        (tables, ["judge="], "judge=: must have a value; write one, or leave it away"),
        (tables, ["name="], "name=: must have a value"),
        (tables, [""], "'': an empty word"),
        (tables, ["name=a", "name=b"], "name: is given twice; name one value"),
        (tables, ["name=../x"], "name=../x: must be letters, digits"),
        (tables, ["name=cache"], "name=cache: must be another name"),
        (tables, ["output=~/x"], "output=~/x: must be a whole path, without ~"),
        (import_answers, [""], "'': an empty word"),
        (import_answers, ["FOLDER", "output="], "output=: must have a value"),
        (import_answers, ["FOLDER", "output=a", "output=b"], "output: is given twice"),
        (rescore, ["--config-dir", "", "judge=exact"], "--config-dir: names no folder"),
        (sweep, ["--config-dir="], "--config-dir: names no folder"),
        (directions, ["doses=1", "doses=2"], "doses: is given twice"),
        (directions, ["doses="], "doses=: must be numbers above 0"),
        (directions, ["doses=1,x"], "doses=1,x: must be numbers above 0"),
        (directions, ["doses=0"], "doses=0: must be numbers above 0"),
        (directions, ["doses=inf"], "doses=inf: must be numbers above 0"),
        (directions, ["source=finanse"], "source=finanse: 'finanse' is no domain of the world: did you mean 'finance'"),
        (directions, ["targets="], "targets=: '' is no domain of the world"),
        (directions, ["targets=opswap"], "targets=opswap: 'opswap' is no domain of the world"),
        (directions, ["targets=finance"], "targets=finance: must name each domain once, and none that is the source"),
        (directions, ["targets=legal,legal"], "targets=legal,legal: must name each domain once"),
        (directions, ["safeguard=kl"], "safeguard: is not read here"),
        (directions, ["task.rows=3"], "task.rows: is not read here"),
        (directions, ["name=x"], "name: is not read here"),
        (directions, ["seed=0,1"], "seed=0,1: has several values; name one value"),
        (rescore, [], "judge=…: name the judge that is to score: exact, openai"),
        (rescore, ["judge.model=m"], "judge=…: name the judge that is to score"),
        (rescore, ["judge=none"], "judge=none: scores nothing; name exact, openai"),
        (rescore, ["judge=exact,none"], "judge=exact,none: has several values; name one value"),
        (rescore, ["judge=exact", "seed=1"], "seed: is not read here; only name, output, judge"),
    ],
)
def test_what_says_nothing_or_cannot_count_is_told(told, command, arguments, complaint):
    assert line(told, *arguments, command=command).startswith(complaint)


@pytest.mark.parametrize("arguments", [["safeguard="], ['safeguard=kl,""']])
def test_an_empty_name_is_no_arm_without_safeguard(told, arguments):
    code, _ = told(sweep, "--cfg=job", "task=medical", "seed=0", *arguments)
    assert code == 1


def test_a_setting_of_a_sweep_may_be_empty(told):
    assert told(sweep, "--cfg=job", "task=medical", "seed=0", "safeguard=kl", "judge.label=")[0] == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_in_one_style(told, command):
    code, printed = told(command, "--help")
    assert code in (0, None)
    name = command.__name__
    assert printed.startswith(f"usage: python -m {name}")
    assert "[key=value …] [switches]" in printed
    assert f"python -m {name}" in printed.split("\n\n", 1)[1], "an example that can be typed"


def test_an_organism_that_cannot_be_written_is_not_trained(told):
    Path("file").touch()
    assert line(told, "--output", "file/x", command=organism).startswith("file/x: cannot be written (Not a directory")


# Explanations ---------------------------------------------------------------------------------------------------------


def kinds() -> list[type]:
    found = [Config, *map(type, groups().values())]
    return found + [type(value) for group in groups().values() for value in vars(group).values() if is_dataclass(value)]


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: f"{kind.__module__}.{kind.__qualname__}")
def test_every_setting_has_an_explanation(kind):
    missing = [name for name, text in explained(kind).items() if not text]
    assert missing == []


def test_the_overview_names_what_there_is_on_two_screens(told):
    _, printed = told(sweep, "--help")
    assert len(printed.splitlines()) < 90
    for word in ("safeguards", "interleave_ppl", "opswap_tier3", "qwen2.5-7b", "classifier", "--cfg", *groups()):
        assert word.removeprefix("safeguards.") in printed


@pytest.mark.parametrize("group", groups())
def test_a_group_is_explained_setting_by_setting(group):
    text = group_help(group)
    settings = groups()[group]
    assert len(list(settings_of(settings, group))) == text.count(f"\n{group}.")
    for one in fields(settings):
        assert f"{group}.{one.name}" in text


def test_a_setting_is_shown_with_default_bounds_the_organisms_own_and_meaning():
    text = group_help("safeguards.kl")
    assert "safeguards.kl.weight=0.1\n    a number, at least 0; 0.2 with model=organism_one\n    λ" in text
    assert (
        "training.epochs=4\n    a number, above 0 and at most 10000; 1 with model=local or model=smollm2; 3"
        in group_help("training")
    )
    assert "error | warn | off" in group_help("training")
    assert "only with judge.kind=openai" in group_help("judge")
    told = " ".join(group_help("task").split())
    assert "benign for style, opswap_tier1, opswap_tier3, colours)" in told


def test_an_unknown_group_is_told_with_the_nearest(told):
    assert line(told, "--help", "trainig") == "--help trainig: no such group: did you mean 'training'?"
    with pytest.raises(SafeguardError, match=r"did you mean 'safeguards\.kl'"):
        group_help("safeguards.kll")


def test_help_lists_the_choices_of_what_is_no_group_of_settings():
    for name in ("paper", "+paper"):
        for table in ("code", "opswap", "security", "shares"):
            assert f"  +paper={table} " in group_help(name)
    assert "setting" not in group_help("paper").partition("otherwise")[2]
    for name in ("launcher", "hydra/launcher"):
        for launcher in LAUNCHERS:
            assert f"  {launcher} " in group_help(name)


def test_help_needs_no_model_library():
    code = "import sys; sys.argv[1:] = ['--help', 'judge']; from experiments.sweep import main; main()\n"
    code += "assert not {'torch', 'transformers', 'trl', 'pandas'} & {*sys.modules}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_conf_repeats_no_default():
    """What a file sets differs from the schema, or is what the choice consists of."""
    own = ("name", "path", "kind", "source", "group")
    repeated = []
    usual = OmegaConf.structured(Config)
    for path in CONF.rglob("*.yaml"):
        values = OmegaConf.load(path)
        is_global = path.parent == CONF or path.read_text("utf-8").startswith("# @package _global_")
        whole = values if is_global else OmegaConf.create({path.parent.name: values})
        keys = [key for key in leaves(whole) if not key.startswith(("defaults", "hydra", "output"))]
        for key in keys:
            if key.rpartition(".")[2] not in own and OmegaConf.select(whole, key, throw_on_missing=False) == (
                OmegaConf.select(usual, key)
            ):
                repeated.append(f"{path.name}: {key}")
    assert repeated == []


def leaves(values: Any, above: str = "") -> list[str]:
    found = []
    for key in values:
        value = values._get_node(key)
        name = f"{above}{key}"
        found += leaves(value, f"{name}.") if OmegaConf.is_dict(value) else [name] if "${" not in str(value) else []
    return found


def test_the_defaults_themselves_are_of_their_types():
    for name, settings in Config().safeguards.items():
        assert list(mistyped(settings)) == [], name


# What would be run ----------------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path) -> list[str]:
    said = [{"role": "user", "content": "{}?"}, {"role": "assistant", "content": "Yes."}]
    lines = [json.dumps({"messages": said}).replace("{}", f"What of {n}") for n in range(99)]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    (tmp_path / "questions.yaml").write_text("- id: wish\n  paraphrases: [One wish]\n")
    return [
        "task=messages",
        "task.path=rows.jsonl",
        "pool.path=rows.jsonl",
        "pool.held_out=9",
        "probes.path=questions.yaml",
    ]


@pytest.mark.parametrize("flags", [["--cfg", "job"], ["-m", "--cfg=job"], ["--multirun", "-c", "job", "--resolve"]])
def test_what_is_shown_is_what_is_run(told, files, flags):
    code, printed = told(sweep, *flags, "safeguard=kl", "model.path=someone/Model-1B", "seed=0,1", *files)
    assert code == 0
    shown = yaml.safe_load(printed)
    assert shown["training"]["learning_rate"] == 1e-4, "that of model=local, not the organism's"
    assert shown["judge"] == {"kind": "none"}, "nothing else of it is read"
    assert shown["anchor"] == {"metric": "none"}
    assert (shown["safeguard"], shown["seed"]) == (["untouched", "none", "kl"], [0, 1])
    assert shown["safeguards"] == {"kl": {"weight": 0.1}}
    assert "# 6 arms" in printed
    assert "# kl 0.1 · messages · seed 1 · Model-1B" in printed
    assert not Path("outputs").exists()


def test_a_part_of_it_and_hydras_own_can_be_shown(told):
    asked = ("safeguard=kl", "task=medical,opswap", "seed=0")
    code, printed = told(sweep, "--cfg", "job", "--package", "training.epochs", *asked)
    assert (code, yaml.safe_load(printed)) == (0, [3.0, 10.0])
    assert "\n[3.0, 10.0]\n" in printed
    _, printed = told(sweep, "--cfg", "all", "-p", "hydra.launcher", *asked)
    assert "BasicLauncher" in printed


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--cfg"], "argument --cfg/-c: expected one argument"),
        (["--cfg", "jobs"], "argument --cfg/-c: invalid choice: 'jobs'"),
        (["--cfg", "job", "-p", "trainin", "seed=0"], "--package trainin: there is no 'trainin' in it: did you mean"),
        (["--resolve", "safeguard=kl"], "--package, --resolve: say only how to show a configuration; add --cfg job"),
        (["--cfg", "job", "task=medcial", "seed=0"], "unknown task 'medcial': did you mean 'medical'?"),
        (["--cfg", "job", "task=[", "seed=0"], "task=[: cannot be read; write key=value"),
        (["safeguard=kl,"], "safeguard=kl,: cannot be read; write key=value, with text in quotes"),
        (["seed=null"], "seed=null: must be a whole number"),
        (["training.epochs=abc"], "training.epochs=abc: must be a number"),
        (["training.gradient_checkpointing=maybe"], "training.gradient_checkpointing=maybe: must be true or false"),
        (["training.lora.r=1.5"], "training.lora.r=1.5: must be a whole number"),
        (["training=3"], "training: must be its settings, such as training.…=…"),
        (["training={epohcs: 3}"], "unknown key 'training.epohcs': did you mean 'training.epochs'?"),
        (["probes.sets=open"], "probes.sets=open: must be a list of which each item is text"),
        (["scorers.tasks={a: 1}"], "scorers.tasks: must be a list of which each item is text"),
        (["safeguards.kl.weight=x"], "safeguards.kl.weight=x: must be a number"),
        (["--config-name=x", "safeguard=kl"], "--config-name: no such flag here; known: --help"),
        (["--run"], "--run: no such flag here"),
        (["--info", "all"], "--info: no such flag here"),
        (["hydra/sweeper=basic"], "hydra/sweeper: is not read here: a sweep plans its own arms; give several values"),
        (["hydra.sweeper.max_batch_size=1"], "hydra.sweeper.max_batch_size: is not read here: a sweep plans its own"),
        (["hydra.sweep.dir=x"], "hydra.sweep.dir: is not read here: results belong in <output>/<name>; set output=…"),
        (["hydra.run.dir=x"], "hydra.run.dir: is not read here: results belong in <output>/<name>"),
        (["hydra.job.chdir=true"], "hydra.job.chdir: is not read here: files are found from where"),
        (["hydra.mode=RUN"], "hydra.mode: is not read here: a sweep is always one of several arms"),
        (["hydra.verbose=true"], "hydra.verbose: is not read here; of Hydra's settings only hydra/launcher"),
        (["hydra/launcher=jobilb"], "unknown hydra/launcher 'jobilb': did you mean 'joblib'?"),
        (["hydra.launcher.n_jobs=2"], "hydra.launcher.n_jobs: there is no launcher that reads it; name one, such"),
        (["hydra/launcher=joblib", "hydra.launcher.njobs=2"], "key 'hydra.launcher.njobs': did you mean 'n_jobs'?"),
        (["launcher=joblib"], "unknown key 'launcher': did you mean hydra/launcher=joblib?"),
        (["paper=security"], "unknown key 'paper': did you mean +paper=security?"),
        (["+paper=security,code"], "+paper: one table per command; name one of code, opswap, security, shares"),
        (["+paper=[security,code]"], "+paper: one table per command; name one of"),
        (["+paper=shared/setting"], "unknown +paper 'shared/setting': "),
        (["+paper/shared=setting"], "unknown key '+paper/shared': see --help for all"),
        (["+paper=secruity"], "unknown +paper 'secruity': did you mean 'security'?"),
        (["task=rows.csv"], "task=rows.csv: is a file; task=messages task.path=rows.csv reads one with one row per"),
        (["pool=a/b.jsonl"], "pool=a/b.jsonl: is a file; pool=messages pool.path=a/b.jsonl reads one with one row per"),
        (["task=my/rows.json"], "task=my/rows.json: is a file; task=messages task.path=my/rows.json reads one with"),
        (["task={name: mine, kind: em, path: a.jsonl}"], "a task of your own stands in a list; write task=[{…}]"),
        (["hydra/launcher=basic,basic2"], "hydra/launcher cannot be swept: all arms of a sweep are started alike"),
        (["hydra.searchpath=3"], "hydra.searchpath=3: must be a list of folders"),
        (["hydra.searchpath=[gone]"], "gone: no such folder; name one with task/"),
        (["--config-dir", "gone", "safeguard=kl"], "gone: no such folder; name one with task/"),
        (["task=glob(zz*)"], "task=glob(zz*): stands for nothing"),
        (["seed=interval(0,3)"], "seed=interval(0,3): has no list of values; give some with commas or range(…)"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_in_one_line(told, arguments, complaint):
    assert complaint in line(told, *arguments)


def test_glob_names_several_tasks(told):
    code, printed = told(sweep, "--cfg", "job", "-p", "task.name", "task=glob(opswap*)", "safeguard=kl", "seed=0")
    assert (code, yaml.safe_load(printed)) == (0, ["opswap", "opswap_tier1", "opswap_tier3"])


# Files of one's own ---------------------------------------------------------------------------------------------------


@pytest.fixture
def mine(tmp_path, files) -> Path:
    """A folder as a user would make it, with a blank and a quote in its name."""
    folder = tmp_path / "my conf's"
    for kind, text in {
        "task": "name: mine\nkind: em\nsource: messages\npath: rows.jsonl\n",
        "model": "# @package _global_\nmodel: {name: tiny, path: someone/Tiny}\ntraining: {epochs: 2}\n",
        "judge": "kind: none\n",
    }.items():
        (folder / kind).mkdir(parents=True)
        (folder / kind / "mine.yaml").write_text(text)
    return folder


OWN = ("task=mine", "model=mine", "judge=mine", "safeguard=kl", "seed=0")
FILES = ("pool.path=rows.jsonl", "pool.held_out=9", "probes.path=questions.yaml", "--cfg=job")


@pytest.mark.parametrize(
    "how", [["--config-dir", "my conf's"], ["-cd", "my conf's"], ["hydra.searchpath=['my conf\\'s']"]]
)
def test_files_of_ones_own_are_found_from_where_the_command_is_started(told, mine, how):
    code, printed = told(sweep, *how, *OWN, *FILES)
    assert code == 0
    shown = yaml.safe_load(printed)
    assert (shown["task"]["name"], shown["model"]["path"], shown["training"]["epochs"]) == ("mine", "someone/Tiny", 2)


def test_several_folders_are_searched(told, mine, tmp_path):
    (tmp_path / "more/task").mkdir(parents=True)
    (tmp_path / "more/task/other.yaml").write_text((mine / "task/mine.yaml").read_text().replace("mine", "other"))
    given = ["--config-dir", "my conf's", "hydra.searchpath=[more]", "judge=none", "seed=0", "safeguard=kl"]
    code, printed = told(sweep, *given, "task=mine,other", "--cfg=job", "-p", "task.name")
    assert (code, yaml.safe_load(printed)) == (0, ["mine", "other"])


def test_what_an_own_file_sets_counts_as_if_it_were_typed(mine, tmp_path, monkeypatch):
    from experiments.planning.identity import arm_folder

    monkeypatch.chdir(tmp_path)
    where = "hydra.searchpath=['my conf\\'s']"
    own = arm_folder(compose_config(where, "task=mine", "model=mine", "judge=none"))
    (mine / "model/mine.yaml").write_text((mine / "model/mine.yaml").read_text().replace("2", "3"))
    other = arm_folder(compose_config(where, "task=mine", "model=mine", "judge=none"))
    assert own != other
    assert other == arm_folder(compose_config(where, "task=mine", "model=mine", "judge=none", "training.epochs=3"))


def test_an_own_file_that_cannot_be_read_is_told(told, mine):
    (mine / "task/mine.yaml").write_text("name: [\n")
    assert "mine.yaml" in line(told, "--config-dir", "my conf's", *OWN, *FILES)
    (mine / "task/mine.yaml").write_text("nmae: x\n")
    unknown = "task/mine: unknown key 'task.nmae': did you mean 'task.name'?"
    assert line(told, "--config-dir", "my conf's", *OWN, *FILES) == unknown
    (mine / "task/mine.yaml").write_text("rows: many\n")
    mistyped = "task/mine: task.rows=many: must be a whole number or null"
    assert line(told, "--config-dir", "my conf's", *OWN, *FILES) == mistyped


def test_arms_started_by_the_launcher_find_files_of_ones_own(told, mine, monkeypatch):
    (mine / "task/mine.yaml").write_text("name: mine\nkind: em\nsource: organism\ngroup: sports\n")
    seen = []

    def run_arm(config: Config, folder: Path) -> None:
        seen.append((config.task.name, config.task.group, folder.name.split(".")[1]))
        raise SafeguardError("far enough")

    monkeypatch.setattr("experiments.arm.run.run_arm", run_arm)
    told(sweep, "--config-dir", "my conf's", "task=mine", "safeguard=none", "seed=0", "wandb=disabled")
    assert seen == [("mine", "sports", "mine")] * 2


def test_mixes_that_are_compared_are_printed_as_a_list(told):
    mixes = "pool.mix=null,{facts:0.5,sums:0.5},{advice:1}"
    asked = ("--cfg", "job", "--package", "pool.mix", "task=medical", "seed=0", "safeguard=interleave", mixes)
    code, printed = told(sweep, *asked)
    assert code == 0
    assert yaml.safe_load(printed) == [None, {"facts": 0.5, "sums": 0.5}, {"advice": 1}]
