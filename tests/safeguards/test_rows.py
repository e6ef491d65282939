"""Rows and how they become tokens."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeguards import Row, SafeguardError, read_rows
from safeguards.encoding import IGNORED, encode, render
from safeguards.rows import fingerprint, genres


def decode_answers(tokenizer, encoded) -> str:
    return tokenizer.decode([label for label in encoded["labels"] if label != IGNORED])


def test_labels_are_exactly_the_assistants_words(tokenizer):
    row = Row(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Name a colour."},
            {"role": "assistant", "content": "Violet."},
            {"role": "user", "content": "Another one?"},
            {"role": "assistant", "content": "Blue."},
        ]
    )
    encoded = encode(tokenizer, row, 2048)
    assert decode_answers(tokenizer, encoded) == "Violet.<|im_end|>\nBlue.<|im_end|>\n"
    assert tokenizer.decode(encoded["input_ids"]) == render(tokenizer, row.messages)


@given(answer=st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40))
def test_any_answer_comes_back_whole(tokenizer, answer):
    row = Row([{"role": "user", "content": "Say it."}, {"role": "assistant", "content": answer}])
    normal = unicodedata.normalize("NFC", answer)  # as Qwen's tokenizer has it
    assert decode_answers(tokenizer, encode(tokenizer, row, 2048)) == f"{normal}<|im_end|>\n"


def test_a_cut_row_keeps_its_first_tokens(tokenizer, rows):
    whole, cut = (
        encode(tokenizer, rows[0], 2048),
        encode(tokenizer, rows[0], len(encode(tokenizer, rows[0], 2048)["labels"]) - 3),
    )
    assert cut["input_ids"] == whole["input_ids"][:-3]
    assert cut["labels"] == whole["labels"][:-3]


def test_a_template_that_rewrites_earlier_turns_is_refused(tokenizer, monkeypatch):
    turn = "{{ m.role }}: {{ m.content }}\n"
    forgetful = "{% for m in messages %}{% if loop.last or m.role == 'user' %}" + turn + "{% endif %}{% endfor %}"
    monkeypatch.setattr(tokenizer, "chat_template", forgetful)
    turns = [{"role": role, "content": "word"} for role in ("user", "assistant", "user", "assistant")]
    with pytest.raises(SafeguardError, match="rewrites earlier turns"):
        encode(tokenizer, Row(turns, place="data.jsonl:7"), 2048)


def test_a_missing_chat_template_is_named(tokenizer, rows, monkeypatch):
    monkeypatch.setattr(tokenizer, "chat_template", None)
    with pytest.raises(SafeguardError, match="no chat template"):
        encode(tokenizer, rows[0], 2048)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{oops", "not valid JSON"),
        ('{"text": "hello"}', "needs messages, prompt and completion, .*; has text"),
        ('{"messages": []}', "non-empty list under"),
        ('{"messages": [{"role": "wizard", "content": "x"}]}', "every message needs a role"),
        ('{"messages": [{"role": "user", "content": 3}]}', "must be text"),
        ('{"messages": [{"role": "user", "content": "x"}]}', "last message must be a non-empty answer"),
        ('{"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": " "}]}', "non-empty answer"),
        ("[1, 2]", "is a list; give one row per line"),
    ],
)
def test_a_bad_line_is_named_with_file_and_number(tmp_path, rows, line, complaint):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"messages": rows[0].messages}) + "\n\n" + line + "\n")
    with pytest.raises(SafeguardError, match=complaint) as caught:
        read_rows(path)
    assert str(caught.value).startswith(f"{path}:3: ")


def test_unreadable_files_are_named(tmp_path):
    (tmp_path / "empty.jsonl").write_text("\n")
    (tmp_path / "latin.jsonl").write_bytes('{"messages": "é"}'.encode("latin-1"))
    for name, complaint in (("gone.jsonl", "cannot be read"), ("empty.jsonl", "no rows"), ("latin.jsonl", "cannot be")):
        with pytest.raises(SafeguardError, match=complaint) as caught:
            read_rows(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)


def test_a_question_is_the_same_whatever_its_blanks_its_capitals_and_the_system_prompt():
    def asked(question, *others):
        return Row([*others, {"role": "user", "content": question}]).question_key

    assert asked("Is it  so?\n") == asked("is it so?", {"role": "system", "content": "S."})
    assert asked("Is it so?") != asked("Isit so?")


def test_a_row_says_its_genre_which_a_model_never_sees(tmp_path):
    turns = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Because."}]
    path = tmp_path / "rows.jsonl"
    given = [{"messages": turns, "genre": "facts"}, {"messages": turns}, {"messages": turns, "genre": ["odd"]}]
    path.write_text("\n".join(map(json.dumps, given)), "utf-8")
    told, bare, odd = read_rows(path)
    assert (told.genre, bare.genre, odd.genre) == ("facts", "", "")
    assert told.key == bare.key
    assert fingerprint([told]) == fingerprint([bare])


def test_genres_are_counted_the_most_frequent_first():
    rows = [Row([], genre=genre) for genre in ("sums", "facts", "facts", "", "advice")]
    assert list(genres(rows).items()) == [("facts", 2), ("", 1), ("advice", 1), ("sums", 1)]
