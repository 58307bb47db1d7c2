"""Named sets: the published files where the data root has them, and readers on small files of the same formats."""

import io
import os
import tarfile
from pathlib import Path
from random import Random

import numpy as np
import pytest

from sslplug.contracts import DataContext
from sslplug.errors import DataError
from sslplug_sequence.events.data import DATA
from sslplug_sequence.events.data.event_data import EventData
from sslplug_sequence.events.data.physionet2012 import read_physionet
from sslplug_sequence.events.data.point_processes import read_folds
from sslplug_sequence.events.data.transactions import published_test, read_gender

ROOT = os.environ.get("SSLPLUG_DATA")
needs_root = pytest.mark.skipif(not ROOT, reason="SSLPLUG_DATA names no data root, so the published sets are not there")


def archive(file: Path, members: dict[str, str]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w:xz") as tar:
        for name, text in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return file


def build(name: str, tmp_path: Path, **options: object) -> EventData:
    root = Path(ROOT) if ROOT else tmp_path
    return DATA[name].build(DATA[name].options(**options), DataContext(root, tmp_path / "cache", 0))


RECORD = """Time,Parameter,Value
00:00,RecordID,{record}
00:00,Age,60
00:00,Gender,{gender}
00:00,Height,-1
00:00,ICUType,2
00:00,Weight,-1
00:07,HR,70
00:07,HR,75
00:07,Temp,36.5
47:30,HR,90
"""


def test_physionet_records_become_events(tmp_path: Path) -> None:
    for part, record, gender in (("a", 11, 0), ("b", 22, 1)):
        text = RECORD.format(record=record, gender=gender)
        archive(tmp_path / f"set-{part}.tar.xz", {f"set-{part}/{record}.txt": text})
        head = "RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death\n"
        (tmp_path / f"Outcomes-{part}.txt").write_text(f"{head}{record},1,2,3,4,{gender}\n")
    table, test = read_physionet(tmp_path)
    assert test.tolist() == [1]
    assert table.labels is not None
    assert table.labels.tolist() == [0, 1]
    assert table.numeric == ("Age", "HR", "Height", "Temp", "Weight")
    assert table.lengths.tolist() == [3, 3]
    np.testing.assert_allclose(table.time[:3], [0, 7 / 60, 47.5])
    nan = np.nan
    np.testing.assert_array_equal(
        table.numbers[:3], [[60, nan, nan, nan, nan], [nan, 75, nan, 36.5, nan], [nan, 90, nan, nan, nan]]
    )
    assert [table.values["Gender"][code] for code in table.codes[[0, 3], 0]] == ["female", "male"]
    assert table.values["ICUType"][table.codes[0, 1]] == "cardiac surgery"
    assert (table.codes[1:3] == -1).all()


def test_folds_never_train_on_a_sequence_of_the_test_file(tmp_path: Path) -> None:
    sequences = {f: [(f"{k} {k}", f"{k}.5 {k}.75") for k in range(f, f + 3)] for f in range(1, 6)}  # folds overlap
    members = {}
    for fold, lines in sequences.items():
        members[f"stackoverflow/event-{fold}-test.txt"] = "\n".join(types for types, _ in lines)
        members[f"stackoverflow/time-{fold}-test.txt"] = "\n".join(times for _, times in lines)
    file = archive(tmp_path / "s.tar.xz", members)
    table, test = read_folds(file, "stackoverflow", 2)
    assert test.tolist() == [4, 5, 6]
    types = [table.values["mark"][code] for code in table.codes[table.offsets[:-1], 0]]
    assert types[-3:] == ["2", "3", "4"]
    assert sorted(types[:-3]) == ["1", "5", "6", "7"]
    with pytest.raises(DataError, match="no book_order/event-1-test"):
        read_folds(file, "book_order", 1)


AGE = "client_id,trans_date,small_group,amount_rur\n" + "\n".join(
    f"{client},{day},{day % 3},{10.5 * day}" for client in range(40) for day in range(5)
)
GENDER = "customer_id,tr_datetime,mcc_code,tr_type,amount,term_id\n" + "\n".join(
    f"{client},{day} 12:30:60,{4000 + day},1030,{-100.0 * client},x" for client in range(40) for day in range(1, 4)
)
ROSBANK = "PERIOD,cl_id,MCC,channel_type,currency,TRDATETIME,amount,trx_category,target_flag,target_sum\n" + "\n".join(
    f"01/10/2017,{client},5200,{'' if day else 'type1'},810,{20 + day}OCT17:06:00:00,{day}.5,POS,{client % 2},0"
    for client in range(40)
    for day in range(3)
)


def test_transactions_in_the_published_formats(tmp_path: Path) -> None:
    for name, files in {
        "age": {
            "transactions_train.csv": AGE,
            "train_target.csv": "client_id,bins\n" + "\n".join(f"{c},{c % 4}" for c in range(40)),
        },
        "gender": {
            "transactions.csv": GENDER,
            "gender_train.csv": "customer_id,gender\n" + "\n".join(f"{c},{c % 2}" for c in range(30)),
        },
        "rosbank": {
            "train.csv": ROSBANK,
            "test.csv": "cl_id,MCC,channel_type,currency,TRDATETIME,amount,trx_category\n99,1,,810,01NOV17:00:00:00,3,POS",
        },
    }.items():
        (tmp_path / "events" / name).mkdir(parents=True)
        for file, text in files.items():
            (tmp_path / "events" / name / file).write_text(text)
    context = DataContext(tmp_path, tmp_path / "cache", 0)
    age, gender, rosbank = (DATA[name].build(DATA[name].options(), context) for name in ("age", "gender", "rosbank"))
    assert age.tasks["age-group"].num_classes == 4
    assert len(age.tasks["age-group"].splits) == 5
    assert len(age.tasks["age-group"].splits[0].test) == 4
    assert set(age.spec.categories) == {"small_group"}
    # Labelled test clients are not trained on; clients without a label are.
    task = gender.tasks["gender"]
    assert len(task.splits[0].test) == 3
    assert len(gender._training) == 37
    assert gender.table.time[:3] == pytest.approx(
        [1 + 12.5 / 24 + 1 / 1440, 2 + 12.5 / 24 + 1 / 1440, 3 + 12.5 / 24 + 1 / 1440]
    )
    assert rosbank.tasks["churn"].kind == "anomaly"
    assert len(rosbank.table.entities) == 41
    assert rosbank.table.time[1] - rosbank.table.time[0] == pytest.approx(1)
    assert (rosbank.table.codes[:3, 1] == [0, -1, -1]).all()
    ids = sorted(range(30))
    Random(42).shuffle(ids)
    names = gender.table.entities[published_test(gender.table)]
    assert sorted(names.tolist()) == sorted(str(n) for n in ids[-3:])
    (tmp_path / "events" / "gender" / "transactions.csv").write_text(GENDER.replace("1 12:30:60", "noon", 1))
    with pytest.raises(DataError, match="expected times like '12 08:30:00'"):
        read_gender(tmp_path / "events" / "gender")
    with pytest.raises(DataError, match="put the published files there"):
        DATA["age"].build(DATA["age"].options(folder="nowhere"), context)


def test_a_missing_or_altered_file_is_refused(tmp_path: Path) -> None:
    context = DataContext(tmp_path, tmp_path / "cache", 0)
    with pytest.raises(DataError, match=r"ADFA-LD.*not found in .*expected the files ADFA-LD\.tar\.xz"):
        DATA["adfa_ld"].build(DATA["adfa_ld"].options(), context)
    archive(tmp_path / "events/adfa_ld/ADFA-LD.tar.xz", {"ADFA-LD/Training_Data_Master/x.txt": "1 2"})
    with pytest.raises(DataError, match="is not the published one"):
        DATA["adfa_ld"].build(DATA["adfa_ld"].options(), context)


@needs_root
def test_adfa_traces_and_their_splits(tmp_path: Path) -> None:
    data = build("adfa_ld", tmp_path)
    task = data.tasks["attack"]
    assert (len(task.labels), int(task.labels.sum())) == (5951, 746)
    runs = lambda rows: {name.split("/")[2] for name in data.table.entities[rows] if "Attack" in name}  # noqa: E731
    for split in task.splits:
        parts = [runs(part) for part in (split.train, split.val, split.test)]
        assert len(parts[2]) == 12
        assert sum(map(len, parts)) == len(set.union(*parts)) == 60
    detection = build("adfa_ld", tmp_path, task="detection").tasks["detection"].splits[0]
    assert (len(detection.train), len(detection.test)) == (833, 5118)


@needs_root
def test_point_processes_have_the_sizes_of_their_folds(tmp_path: Path) -> None:
    data = build("stackoverflow", tmp_path)
    assert (len(data._training), len(data.table.entities) - len(data._training)) == (3142, 1326)
    assert data.spec.categories == {"mark": 24}
    task = data.tasks["next-mark"]
    test = np.setdiff1d(np.arange(4468), data._training)
    assert np.isin(task.groups[task.splits[0].test], test).all()  # type: ignore[index]


@needs_root
def test_physionet_has_the_published_sizes(tmp_path: Path) -> None:
    data = build("physionet2012", tmp_path)
    task = data.tasks["death"]
    assert len(task.labels) == 8000
    assert (int(task.labels[:4000].sum()), int(task.labels[4000:].sum())) == (554, 568)
    assert all((split.test >= 4000).all() and len(split.test) == 4000 for split in task.splits)
    assert (data._training < 4000).all()
    assert len(data.table.numeric) == 39
