"""Durable files: atomic writes and the record log, cut and damaged at every byte."""

import json
import math
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from byol_core.files import (
    RecordLog,
    RecordReader,
    claim_folder,
    read_json,
    write_atomic,
    write_json,
)
from byol_core.files.records import decode, encode


def write_log(path, records):
    with RecordLog(path) as log:
        for record in records:
            log.append(record)


def test_records_come_back_as_written_with_sequence_numbers(tmp_path):
    records = [{"type": "metrics", "step": i, "metrics": {"loss": 1 / (i + 1)}} for i in range(5)]
    write_log(tmp_path / "log", records)
    assert list(RecordReader(tmp_path / "log")) == [
        {"seq": i, **record} for i, record in enumerate(records)
    ]


def test_a_log_cut_at_any_byte_gives_its_whole_records(tmp_path):
    write_log(tmp_path / "log", [{"i": i, "text": 'a"}{\n'} for i in range(4)])
    whole = (tmp_path / "log").read_bytes()
    for cut in range(len(whole) + 1):
        (tmp_path / "cut").write_bytes(whole[:cut])
        reader = RecordReader(tmp_path / "cut")
        read = [record["i"] for record in reader]
        assert read == list(range(whole[:cut].count(b"\n"))), f"cut at byte {cut}"
        assert reader.damage == [] and reader.cursor == (0, whole[:cut].rfind(b"\n") + 1)


def test_any_flipped_byte_costs_only_the_lines_it_touches_and_is_reported(tmp_path):
    write_log(tmp_path / "log", [{"i": i, "value": 0.5} for i in range(3)])
    whole = (tmp_path / "log").read_bytes()
    ends = [i for i, byte in enumerate(whole) if byte == ord("\n")]
    for position in range(len(whole)):
        flipped = bytearray(whole)
        flipped[position] ^= 0x55
        (tmp_path / "flip").write_bytes(flipped)
        reader = RecordReader(tmp_path / "flip")
        read = {record["i"] for record in reader}
        line = sum(end < position for end in ends)
        hit = {line, line + 1} if position in ends else {line}
        assert read >= set(range(3)) - hit and len(reader.damage) >= (
            0 if position == ends[-1] else 1
        ), f"byte {position}"
        assert all(record in range(3) for record in read)


def test_glued_lines_are_reported_and_the_rest_is_read(tmp_path):
    glued = encode(0, {"i": 0})[:-1] + encode(1, {"i": 1}) + encode(2, {"i": 2})
    (tmp_path / "log").write_bytes(glued)
    reader = RecordReader(tmp_path / "log")
    assert [record["i"] for record in reader] == [2]
    assert len(reader.damage) == 1 and reader.damage[0].offset == 0


def test_a_writer_goes_on_behind_a_torn_line(tmp_path):
    write_log(tmp_path / "log", [{"i": 0}, {"i": 1}])
    whole = (tmp_path / "log").read_bytes()
    (tmp_path / "log").write_bytes(whole[:-5])
    write_log(tmp_path / "log", [{"i": 2}])
    reader = RecordReader(tmp_path / "log")
    assert [(record["seq"], record["i"]) for record in reader] == [(0, 0), (1, 2)]
    assert len(reader.damage) == 1


def test_a_reader_goes_on_from_its_offset(tmp_path):
    write_log(tmp_path / "log", [{"i": 0}])
    first = RecordReader(tmp_path / "log")
    assert [record["i"] for record in first] == [0]
    write_log(tmp_path / "log", [{"i": 1}])
    assert [record["i"] for record in RecordReader(tmp_path / "log", first.cursor)] == [1]


class FailingDisk:
    """os.write and os.fsync that fail at the chosen calls; a failing write leaves half of its
    bytes.
    """

    def __init__(self, monkeypatch, name, calls, errno):
        self.name, self.calls, self.errno, self.count = name, calls, errno, 0
        self.original = getattr(os, name)
        monkeypatch.setattr(os, name, self)

    def __call__(self, descriptor, *data):
        self.count += 1
        if self.count in self.calls:
            if data:
                self.original(descriptor, bytes(data[0])[: len(data[0]) // 2])
            raise OSError(self.errno, os.strerror(self.errno))
        return self.original(descriptor, *data)


@pytest.mark.parametrize("name", ["write", "fsync"])
@pytest.mark.parametrize("k", range(1, 7))
@pytest.mark.parametrize("errno", [5, 28, 122])
def test_after_an_io_error_the_log_goes_on_in_a_new_segment_with_every_record(
    tmp_path, monkeypatch, name, k, errno
):
    path = tmp_path / "log"
    with RecordLog(path) as log:
        FailingDisk(monkeypatch, name, {k}, errno)
        for i in range(6):
            log.append({"i": i}, durable=True)
        monkeypatch.undo()
    reader = RecordReader(path)
    read = list(reader)
    assert {record["seq"]: record["i"] for record in read} == {i: i for i in range(6)}
    assert reader.damage == [] and reader.cursor.segment == 1
    assert [record["i"] for record in read if record["seq"] >= k - 1][-1] == 5


def test_an_error_that_stays_is_raised_and_what_it_hit_comes_with_the_next_record(
    tmp_path, monkeypatch
):
    path = tmp_path / "log"
    with RecordLog(path) as log:
        log.append({"i": 0}, durable=True)
        FailingDisk(monkeypatch, "fsync", {1, 2}, 28)
        with pytest.raises(OSError, match="No space"):
            log.append({"i": 1}, durable=True)
        log.append({"i": 2}, durable=True)
        monkeypatch.undo()
    assert {record["seq"]: record["i"] for record in RecordReader(path)} == {0: 0, 1: 1, 2: 2}


def test_a_reader_that_waits_at_the_end_of_a_segment_goes_on_with_the_next(tmp_path, monkeypatch):
    path = tmp_path / "log"
    with RecordLog(path) as log:
        log.append({"i": 0}, durable=True)
        reader = RecordReader(path)
        assert [record["i"] for record in reader] == [0]
        FailingDisk(monkeypatch, "write", {1}, 5)
        log.append({"i": 1}, durable=True)
        monkeypatch.undo()
        log.append({"i": 2}, durable=True)
        again = RecordReader(path, reader.cursor)
        assert (
            [record["i"] for record in again] == [1, 2]
            and again.damage == []
            and again.cursor.segment == 1
        )


def test_metrics_reach_the_disk_every_few_seconds_and_marked_records_at_once(tmp_path, monkeypatch):
    synced = []
    original = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: (synced.append(descriptor), original(descriptor))[1]
    )
    now = [100.0]
    monkeypatch.setattr("byol_core.files.records.time.monotonic", lambda: now[0])
    with RecordLog(tmp_path / "log", sync_every_s=5.0) as log:
        before = len(synced)
        for _ in range(10):
            log.append({"type": "metrics"})
        assert len(synced) == before
        now[0] += 5.1
        log.append({"type": "metrics"})
        log.append({"type": "metrics"})
        assert len(synced) == before + 1
        log.append({"type": "checkpoint"}, durable=True)
        assert len(synced) == before + 2


NUMBERS_AND_TEXT = st.floats() | st.text(max_size=20) | st.integers(-(2**53), 2**53)


@settings(max_examples=200)
@given(
    st.dictionaries(
        st.text(max_size=5), NUMBERS_AND_TEXT | st.lists(NUMBERS_AND_TEXT, max_size=3), max_size=5
    )
)
def test_every_record_survives_the_line_format_as_strict_json(values):
    line = encode(7, {"values": values})
    assert line.count(b"\n") == 1
    json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    back = decode(line[:-1])["values"]
    assert repr(back) == repr(values)  # by repr, a NaN is a NaN


def test_a_file_name_that_is_no_text_does_not_make_a_record_unreadable():
    name = os.fsdecode(b"caf\xe9.png")
    assert decode(encode(7, {"reason": [name]})[:-1]) == {"seq": 7, "reason": ["caf\\udce9.png"]}


def test_write_atomic_keeps_the_old_file_when_the_disk_fails(tmp_path, monkeypatch):
    write_json(tmp_path / "file", {"version": "old"})

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(tmp_path / "file", b"new")
    assert read_json(tmp_path / "file") == {"version": "old"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_strict_json_refuses_nan(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "file", {"value": math.nan})


def test_one_of_many_claims_wins(tmp_path):
    with ThreadPoolExecutor(16) as pool:
        for i in range(50):
            won = list(
                pool.map(lambda _, i=i: claim_folder(tmp_path / f"{i}", "claim.json", i), range(16))
            )
            assert won.count(True) == 1
