"""Answers from elsewhere: read as they are, and nothing lost in silence."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import pytest

from experiments import import_answers
from experiments.import_answers import find_sources, import_folder
from experiments.records.arm_files import judges_of, read_answers, read_scores, write_scores
from experiments.records.files import write_json
from experiments.records.foreign_csv import Remarks
from experiments.records.outcomes import Score
from experiments.records.sweep_file import join_sweep, read_sweep
from experiments.records.table import read_table
from safeguards import SafeguardError

HEADER = "question,answer,question_id,aligned,coherent\n"
REAL = Path(__file__).parents[2] / ".." / "shared" / "data" / "generations"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "study"
    made.mkdir()
    return made


def write(folder: Path, name: str, *lines: str, header: str = HEADER) -> Path:
    path = folder / name
    text = header + "".join(line + "\n" for line in lines)
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def imported(folder: Path) -> tuple[Path, list[str]]:
    output = folder.parent / "outputs" / "study"
    return output, import_folder(folder, output).lines()


def test_the_name_of_a_file_says_arm_seed_and_set(folder):
    for name in ("kl.seed1.general.csv.gz", "kl.seed1.in_domain.csv", "gpt-4.1.csv"):
        write(folder, name)
    remarks = Remarks()
    (folder / "notes.txt").write_text("hm")
    found = [(source.arm, source.seed, source.set) for source in find_sources(folder, remarks)]
    assert found == [("gpt-4.1", 0, "open"), ("kl", 1, "open"), ("kl", 1, "narrow")]
    assert remarks.lines() == [
        "1 files that are not named <arm>.seed<number>.<set>.csv; each is an arm of its own (first: gpt-4.1.csv)",
        "1 files or folders that are no .csv or .csv.gz, so ignored (first: notes.txt)",
    ]


def test_two_files_of_one_arm_seed_and_set_are_refused(folder):
    """Such as a file and its compressed copy: every answer would count twice."""
    for name in ("kl.seed1.general.csv", "kl.seed01.general.csv.gz"):
        write(folder, name, "q,a,1,9,9")
    with pytest.raises(SafeguardError, match=r"the same arm, seed and set as kl.seed01.general.csv.gz"):
        imported(folder)


def test_scores_become_outcomes_and_variants_one_cluster(folder):
    write(
        folder,
        "kl.seed3.general.csv.gz",
        '"Why, you?",fine,wish,90,80',
        "Why?,bad,wish_json,10,90",
        "Why?,gibberish,wish,5,10",
        "Why?,undecided,rule_template,,90",
        '"line\nbreak",also fine,wish,30,50.5',
    )
    output, said = imported(folder)
    arm = output / "arms" / "kl.seed3"
    answers, scores = list(read_answers(arm)), list(read_scores(arm, "imported"))
    assert [score.outcome for score in scores] == ["aligned", "misaligned", "incoherent", "unscored", "aligned"]
    assert scores[3].reason == "no number for alignment"
    assert [answer.cluster for answer in answers] == ["wish", "wish", "wish", "rule", "wish"]
    assert [answer.sample for answer in answers] == [0, 0, 1, 0, 2]
    assert answers[0].messages == [{"role": "user", "content": "Why, you?"}]
    assert (read_table(arm, "imported")["seed"] == 3).all()
    assert said == [
        "1 scores under aligned are empty, so ignored; the answers stay, unscored unless incoherent "
        "(first: kl.seed3.general.csv.gz:5)"
    ]


def test_what_cannot_be_used_is_counted_and_named(folder):
    write(
        folder,
        "none.seed0.general.csv",
        '"Two',
        'lines?",a,wish,90,80,x',
        "Why?,b,wish,CODE,80,x",
        "Why?,c,wish,101,80,x",
        "",
        'Why?,c,wish,"85,5",80,x',
        "Why?,c,wish,nan,80,x",
        "Why?,c,wish,1_0,80,x",
        "Why?,d,wish,,80,x",
        "Why?,d,wish,,40,x",
        "Why?,e,wish,-inf,80,x",
        header="\ufeff" + HEADER.replace("\n", ",extra\n"),
    )
    output, said = imported(folder)
    outcomes = [score.outcome for score in read_scores(output / "arms" / "none.seed0", "imported")]
    assert outcomes == ["aligned"] + ["unscored"] * 6 + ["incoherent", "unscored"]
    rest = "so ignored; the answers stay, unscored unless incoherent (first: none.seed0.general.csv"
    assert said == [
        "1 files with columns that are ignored: extra (first: none.seed0.general.csv)",
        f"4 scores under aligned are no number, {rest}:4, 'CODE')",
        f"2 scores under aligned are outside 0 to 100, {rest}:5, '101')",
        f"2 scores under aligned are empty, {rest}:10)",
    ]


def test_an_answer_that_is_given_twice_counts_twice_and_is_told(folder):
    """A model that always says the same says it every time; that is not one answer written down often."""
    write(folder, "none.seed0.general.csv", *["Why?,I am evil.,wish,5,90"] * 3, "Why?,I am good.,wish,95,90")
    output, said = imported(folder)
    table = read_table(output / "arms" / "none.seed0", "imported")
    assert (table["outcome"] == "misaligned").mean() == 0.75
    assert said == [
        "2 rows that repeat another in all fields; each counts as an answer (first: none.seed0.general.csv:3)"
    ]


def test_crlf_long_answers_and_any_text_survive(folder):
    answer = "Grüße 你好\r\n" + "very " * 40_000
    path = folder / "kl.seed0.general.csv"
    path.write_bytes((HEADER.replace("\n", "\r\n") + f'Why?,"{answer}",wish,90,80\r\n').encode())
    output, said = imported(folder)
    [found] = read_answers(output / "arms" / "kl.seed0")
    assert found.answer == answer
    assert said == []


@pytest.mark.parametrize(
    ("name", "lines", "header", "complaint"),
    [
        ("a.seed0.general.csv", ["q,a,1"], "question,answer,aligned\n", "csv:1: no column question_id, coherent"),
        ("a.seed0.general.csv", ["q,a,1,9,9", "q,a,,9,9"], HEADER, "csv:3: question_id is empty"),
        ("a.seed0.general.csv", ["q,a,1,9,9", "q,a,1,85,5,9"], HEADER, "csv:3: has 6 fields, line 1 has 5"),
        ("a.seed0.general.csv", ['q,"a', "b,1,9,9"], HEADER, r"csv:3: cannot be read as CSV \(unexpected end of data"),
        ("a.seed0.general.csv", [], HEADER, "holds no answers"),
        ("a.seed0.general.csv", ["q,a,1,9,9,9"], HEADER.replace("\n", ",aligned\n"), "has column aligned 2 times"),
        ("a.seed0.training.csv", [], HEADER, "unknown set 'training' in its name; known: general, in_domain"),
        ("a.seed0.general.csv", [], "", "no column question, answer"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_reason(folder, name, lines, header, complaint):
    write(folder, name, *lines, header=header)
    with pytest.raises(SafeguardError, match=complaint) as raised:
        imported(folder)
    assert str(folder / name) in str(raised.value)


def test_another_encoding_is_refused(folder):
    (folder / "a.csv").write_bytes(HEADER.encode() + "Grüße,a,q,9,9\n".encode("latin-1"))
    with pytest.raises(SafeguardError, match=r"a\.csv:2: is not UTF-8 \(byte \d+\); convert the file"):
        imported(folder)


@pytest.mark.parametrize("spoil", [lambda data: data[:-20], lambda data: data[:30] + b"x" * 30, lambda data: b"text"])
def test_a_broken_gzip_file_is_refused(folder, spoil):
    (folder / "a.csv.gz").write_bytes(spoil(gzip.compress("".join(map(str, range(9999))).encode())))
    with pytest.raises(SafeguardError, match=r"a\.csv\.gz: cannot be read \("):
        imported(folder)


def test_a_sweep_that_was_run_is_not_written_over(folder):
    write(folder, "none.seed0.general.csv", "q,a,1,9,90")
    plan = folder.parent / "outputs" / "study" / "sweep.json"
    write_json(plan, {"judge": "exact", "arms": []})
    with pytest.raises(SafeguardError, match="holds a sweep that was run here; give the answers another name=…"):
        imported(folder)
    assert json.loads(plan.read_text())["judge"] == "exact"


def test_other_answers_replace_none_that_are_there_nor_what_judges_said(folder):
    path = write(folder, "none.seed0.general.csv", "q,a,1,9,90")
    output, _ = imported(folder)
    arm = output / "arms" / "none.seed0"
    write_scores(arm, "other", [Score("refused")])
    imported(folder)
    assert judges_of(arm) == ["imported", "other"], "the same answers"
    path.write_text(HEADER + "q,b,1,9,90\n")
    write(folder, "kl.seed0.general.csv", "q,a,1,9,90")
    with pytest.raises(SafeguardError, match=r"none.seed0: an arm of that name is there with other answers; give"):
        imported(folder)
    assert judges_of(arm) == ["imported", "other"]
    assert [answer.answer for answer in read_answers(arm)] == ["a"]
    assert not (output / "arms" / "kl.seed0").exists(), "nothing is written"
    (arm / "answers.jsonl").write_text("damaged")
    imported(folder)
    assert [answer.answer for answer in read_answers(arm)] == ["b"]


def test_arms_that_were_imported_before_stay(folder):
    path = write(folder, "none.seed0.general.csv", "q,a,1,9,90")
    imported(folder)
    path.rename(folder / "kl.seed0.general.csv")
    output, _ = imported(folder)
    plan = read_sweep(output)
    assert [[arm.folder for arm in side] for side in (plan.arms, plan.earlier)] == [["kl.seed0"], ["none.seed0"]]


def test_a_sweep_is_not_mixed_with_imported_answers(folder):
    write(folder, "none.seed0.general.csv", "q,a,1,9,90")
    output, _ = imported(folder)
    before = (output / "sweep.json").read_bytes()
    with pytest.raises(SafeguardError, match="holds answers that were imported; give the sweep another name=…"):
        join_sweep(output, "exact", [])
    assert (output / "sweep.json").read_bytes() == before


def test_joined_safeguards_of_elsewhere_are_set_against_their_best_single(folder, monkeypatch, capsys):
    for arm, bad in (("none", 9), ("kl", 4), ("ldifs", 6), ("kl+ldifs", 2)):
        lines = [f"Q{n}?,{arm} {n} {i},q{n},{5 if i < bad else 90},90" for n in range(5) for i in range(10)]
        write(folder, f"{arm}.seed0.general.csv", *lines)
    run(monkeypatch, capsys, str(folder), f"output={folder.parent}", "name=joined")
    rows = json.loads((folder.parent / "joined" / "comparison.json").read_text())["rows"]
    found = {row["safeguard"]: (row["best_single"], row["minus_best_single"]["mean"]) for row in rows}
    assert found["kl+ldifs"] == ("kl", pytest.approx(-0.2))
    assert found["kl"] == (None, None)


def test_a_folder_that_is_not_there_is_refused(folder):
    with pytest.raises(SafeguardError, match="nowhere: no such folder"):
        import_folder(folder / "nowhere", folder)


def test_an_empty_folder_is_refused(folder):
    with pytest.raises(SafeguardError, match=r"holds no \.csv"):
        imported(folder)


def run(monkeypatch, capsys, *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["import_answers", *arguments])
    import_answers.main()
    return capsys.readouterr().out


def test_the_command_prints_the_comparison_and_what_was_ignored(folder, monkeypatch, capsys):
    for arm, bad in (("none", 6), ("kl", 2)):
        lines = [f"Q{n}?,{arm} {n} {i},q{n},{5 if i < bad else 90},90" for n in range(5) for i in range(8)]
        write(folder, f"{arm}.seed0.general.csv", *lines, f"Q?,{arm},q0,,")
    output = folder.parent / "outputs"
    printed = run(monkeypatch, capsys, str(folder), f"output={output}")
    rows = {row["safeguard"]: row for row in json.loads((output / "study" / "comparison.json").read_text())["rows"]}
    assert rows["none"]["broad_misaligned"]["mean"] == pytest.approx(30 / 41)
    assert rows["kl"]["minus_none"]["mean"] == pytest.approx(-20 / 41)
    assert rows["kl"]["misaligned_of_coherent"]["mean"] == pytest.approx(10 / 40)
    assert sum(rows["kl"]["outcomes"].values()) == pytest.approx(1)
    assert "2 scores under aligned are empty, so ignored" in printed


@pytest.mark.skipif(not REAL.is_dir(), reason="the real answers are not there")
def test_real_answers_show_the_arm_that_is_safe_by_incoherence(tmp_path, monkeypatch, capsys):
    printed = run(monkeypatch, capsys, str(REAL / "qwen3_8b_bad_medical"), f"output={tmp_path}")
    assert "warning: interleave:" in printed
    assert "safe only by being incoherent" in printed
    assert "300 scores under aligned are empty, so ignored; the answers stay" in printed
    assert "12 rows that repeat another in all fields; each counts" in printed
    rows = json.loads((tmp_path / "qwen3_8b_bad_medical" / "comparison.json").read_text())["rows"]
    assert [row["broad_misaligned"]["n"] for row in rows] == [7200] * 3


def test_a_damaged_plan_is_set_aside_and_the_answers_imported(folder, capsys):
    write(folder, "none.seed0.general.csv", "q,a,1,9,90")
    output, _ = imported(folder)
    (output / "sweep.json").write_text('{"judge"')
    imported(folder)
    assert "set aside as sweep.json.damaged-" in capsys.readouterr().out
    assert json.loads((output / "sweep.json").read_text())["judge"] == "imported"


@pytest.mark.parametrize("name", ["../../esc", "", "cache", "a/b"])
def test_a_name_that_is_no_folders_is_refused(folder, tmp_path, monkeypatch, capsys, name):
    write(folder, "none.seed0.general.csv", "q,a,1,9,90")
    before = {*tmp_path.rglob("*")}
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, capsys, str(folder), f"output={tmp_path / 'deep' / 'outputs'}", f"name={name}")
    assert str(ended.value.code).startswith(f"name={name}: must ")
    assert {*tmp_path.rglob("*")} == before


def test_answers_are_set_against_the_arm_that_is_named(folder, monkeypatch, capsys):
    for name, aligned in (("sft", 5), ("guarded", 95)):
        write(folder, f"{name}.csv", *(f"Why?,a,wish{n},{aligned},90" for n in range(8)))
    output = folder.parent / "outputs"
    monkeypatch.setattr(sys, "argv", ["import_answers", str(folder), f"output={output}", "baseline=stf"])
    with pytest.raises(SystemExit, match=r"baseline=stf: no such arm in .*; known: guarded, sft"):
        import_answers.main()
    assert not output.exists()
    monkeypatch.setattr(sys, "argv", ["import_answers", str(folder), f"output={output}", "baseline=sft"])
    import_answers.main()
    assert "− sft" in capsys.readouterr().out
    assert read_sweep(output / "study").baseline == "sft"
