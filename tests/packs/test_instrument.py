"""A scale from a CSV: every fault at once with its line, and nothing in a file leads to another exception."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from persbench.errors import FaultsError, PersbenchError
from persbench.jsonl import MAX_FAULTS
from persbench.packs.bundled import fake_pack
from persbench.packs.instrument import Instrument, Statement, instrument_of, load_instrument
from persbench.packs.load import load_pack

HEADER = "id,domain,facet,keyed,text,paraphrase\n"
GOOD = "o1,O,ideas,1,I like ideas.,Ideas please me.\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "my-scale.csv"


def read(file: Path, content: str | bytes) -> Instrument:
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return load_instrument(file)


def faults(file: Path, content: str | bytes) -> list[str]:
    with pytest.raises(FaultsError) as error:
        read(file, content)
    assert str(error.value).startswith(f"{file} is not a valid instrument: ")
    return [str(fault).replace(str(file), "my-scale.csv") for fault in error.value.faults]


def test_a_scale_with_all_that_may_vary(file: Path) -> None:
    content = (
        "\ufefftext,keyed, id ,domain,facet,paraphrase\r\n"
        '"Yes, I ""do"" care.",+,h1,Honesty,fairness,\r\n'
        "\r\n"
        ",,,,,\r\n"
        "Ich lüge.,\N{MINUS SIGN}1,h2,Honesty,fairness,Ich sage die Unwahrheit.\r\n"
    )
    scale = read(file, content)
    assert scale.name == "my-scale"
    assert scale.statements == (
        Statement(id="h1", domain="Honesty", facet="fairness", keyed=1, text='Yes, I "do" care.', paraphrase=None),
        Statement(
            id="h2",
            domain="Honesty",
            facet="fairness",
            keyed=-1,
            text="Ich lüge.",
            paraphrase="Ich sage die Unwahrheit.",
        ),
    )


@pytest.mark.parametrize(("keyed", "value"), [("1", 1), ("+1", 1), ("+", 1), ("-1", -1), ("-", -1), (" - ", -1)])
def test_spellings_of_the_key(file: Path, keyed: str, value: int) -> None:
    scale = read(file, f"id,domain,facet,keyed,text\no1,O,ideas,{keyed},I like ideas.\n")
    assert scale.statements[0].keyed == value
    assert scale.statements[0].paraphrase is None


def test_the_hash_is_of_the_statements_not_of_their_spelling(file: Path) -> None:
    plain = read(file, HEADER + GOOD)
    other = read(file, '\ufeffdomain,id,keyed,facet,paraphrase,text\r\nO,o1,+,ideas,"Ideas please me.",I like ideas.')
    assert other.hash == plain.hash
    assert len(plain.hash) == 64
    assert read(file, HEADER + GOOD.replace(",1,", ",-1,")).hash != plain.hash
    assert read(file, HEADER + GOOD + GOOD.replace("o1", "o2")).hash != plain.hash


def test_the_packs_own_statements_are_the_same_type(file: Path) -> None:
    pack = load_pack(fake_pack())
    own = instrument_of(pack)
    assert own.name == f"{pack.world.id}-traits"
    assert [row.model_dump() for row in own.statements] == [row.model_dump() for row in pack.traits]
    rows = "".join(f"{r.id},{r.domain},{r.facet},{r.keyed},{r.text},{r.paraphrase}\n" for r in pack.traits)
    assert read(file, HEADER + rows).hash == own.hash


def test_a_pack_without_statements_says_so(folder: Path) -> None:
    (folder / "traits.jsonl").unlink()
    with pytest.raises(PersbenchError, match=r"has no trait statements: add a traits\.jsonl"):
        instrument_of(load_pack(folder))


def test_every_fault_of_the_rows_at_once(file: Path) -> None:
    content = (
        HEADER
        + GOOD
        + "o1,O,ideas,1,Another one.,\n"
        + "o 3,O,ideas,0,   ,\n"
        + "o4,O,,1,I like ideas,\n"
        + "o5,O,ideas,1,I like ideas, and facts,\n"
        + 'o6,O,ideas,1,"I like" ideas,\n'
        + "o7,O,ideas,1,I like it.,i  LIKE it.\n"
    )
    columns = 'expected 6 as in the header (a text with a comma or quotation mark needs "..." around it)'
    not_id = "not an id: letters, digits, '.', '_' and '-', at most 64, the first a letter or digit"
    assert faults(file, content) == [
        'my-scale.csv:3: duplicate id "o1" (first at my-scale.csv:2)',
        f"my-scale.csv:4: id: {not_id}",
        'my-scale.csv:4: keyed: found "0"; expected 1 or -1',
        "my-scale.csv:4: text: empty text",
        "my-scale.csv:5: facet: empty text",
        f"my-scale.csv:6: 7 fields; {columns}",
        "my-scale.csv:7: broken CSV: ',' expected after '\"'; expected each text with a comma in \"...\"",
        "my-scale.csv:8: text and paraphrase are the same text",
    ]


def test_faults_of_the_header_come_with_those_of_the_rows(file: Path) -> None:
    content = "id,domain,keyed,text,paraphrases,text\no1,O,2,I like ideas.,,\n"
    columns = "id, domain, facet, keyed, text, paraphrase"
    assert faults(file, content) == [
        'my-scale.csv:1: column "text" twice; expected each column once',
        f'my-scale.csv:1: missing column "facet"; expected columns {columns}',
        f'my-scale.csv:1: unknown column "paraphrases" (did you mean "paraphrase"?); expected one of {columns}',
        'my-scale.csv:2: keyed: found "2"; expected 1 or -1',
        "my-scale.csv:2: text: empty text",
    ]


def test_other_tables_are_told_once(file: Path) -> None:
    semicolons = (HEADER + GOOD * 3).replace(",", ";")
    assert faults(file, semicolons) == ['my-scale.csv:1: columns separated by ";"; expected commas']
    no_header = faults(file, GOOD * 3)
    assert len([fault for fault in no_header if "missing column" in fault]) == 5
    assert all(fault.startswith("my-scale.csv:1: ") for fault in no_header)


@pytest.mark.parametrize("content", ["", HEADER, "\ufeff", HEADER + ",,,,,\n\n"])
def test_a_file_without_a_statement(file: Path, content: str) -> None:
    assert faults(file, content) == ["my-scale.csv: no statement; expected a header and at least one row"]


def test_bytes_that_are_no_text(file: Path) -> None:
    utf8 = "expected UTF-8 (save the table again as CSV with that encoding)"
    latin = b"\xef\xbb\xbf" + HEADER.encode() + GOOD.encode() + "o2,O,ideas,1,Café.,\n".encode("latin-1")
    assert faults(file, latin) == [f"my-scale.csv:3: not UTF-8 (byte 0xe9); {utf8}"]
    nul = f"my-scale.csv:1: NUL byte: this is not a CSV in UTF-8; {utf8}"
    assert faults(file, (HEADER + GOOD).encode("utf-16")) == [nul]
    assert faults(file, b"PK\x03\x04\0\0\n" * 100) == [nul]


def test_a_quotation_mark_that_is_never_closed(file: Path) -> None:
    content = HEADER + GOOD + 'o2,O,ideas,1,"I like ideas.,\n' + "o3,O,ideas,1,I like facts.,\n" * 3
    told = "broken CSV: unexpected end of data"
    assert faults(file, content) == [f'my-scale.csv:3: {told}; expected each text with a comma in "..."']


@pytest.mark.parametrize(("size", "told"), [(2_001, "a field of 2,001 characters"), (200_000, "field larger than")])
def test_a_huge_field(file: Path, size: int, told: str) -> None:
    found = faults(file, HEADER + f"o1,O,ideas,1,{'x' * size},\no2,O,ideas,3,I like ideas.,\n")
    assert len(found) == 2
    assert found[0].startswith("my-scale.csv:2: ")
    assert told in found[0]
    assert found[1].startswith("my-scale.csv:3: keyed")


def test_a_row_over_several_lines_is_named_by_its_first(file: Path) -> None:
    found = faults(file, HEADER + 'o1,O,"two\r\nlines",1,"I like\r\nideas.",\no2,O,ideas,x,I like facts.,\n')
    assert found == [
        "my-scale.csv:2: facet: a line break or tab in a text of one line",
        'my-scale.csv:5: keyed: found "x"; expected 1 or -1',
    ]


def test_bad_files_stay_small_and_quick(file: Path) -> None:
    start = time.process_time()
    many = faults(file, HEADER + "o,\n" * 100_000)
    assert len(many) == MAX_FAULTS + 1
    assert "my-scale.csv:101: 100 faults up to here: the rest of the file was not read" in many
    assert len(faults(file, HEADER + '"x"x\n' * 100_000)) == MAX_FAULTS + 1
    wide = faults(file, ",".join(f"c{i}" for i in range(100_000)) + "\n" + GOOD)
    assert len(wide) == 1
    assert wide[0].startswith("my-scale.csv:1: 100,000 columns; expected columns id, ")
    assert faults(file, b"x" * 1_000_001) == ["my-scale.csv: larger than 1,000,000 bytes; expected a CSV of statements"]
    assert time.process_time() - start < 5


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(FaultsError, match="missing file"):
        load_instrument(tmp_path / "gone.csv")
    with pytest.raises(FaultsError, match="a folder, not a file"):
        load_instrument(str(tmp_path))


def test_a_file_that_may_not_be_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(HEADER + GOOD)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(FaultsError, match="cannot be read: Permission denied"):
        load_instrument(file)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(), st.text('abo1+-,;"\n\r\té \ufeff').map(lambda rows: (HEADER + rows).encode())))
def test_any_bytes_give_statements_or_faults(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    try:
        assert load_instrument(file).statements
    except FaultsError as error:
        assert error.faults  # noqa: PT017
