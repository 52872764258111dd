"""The archive that is never written has the bytes of one that was."""

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.archives import Member, Tar

SIZES = (0, 1, 511, 512, 513, 5000)


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    found = []
    for number, size in enumerate(SIZES):
        path = folder / f"{number}.bin"
        path.write_bytes(bytes((number + n) % 251 for n in range(size)))
        found.append(Member(f"root/data/{number}.bin", path, size))
    long = folder / "long"
    long.write_bytes(b"x")
    return [*found, Member("root/" + "数据" * 60 + ".jsonl", long, 1)]


@pytest.fixture(scope="module")
def whole(members):
    with Tar(members, mtime=1_700_000_000).open() as file:
        return file.read()


def test_it_can_be_unpacked(members, whole):
    with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
        assert archive.getnames() == [member.name for member in members]
        for member in members:
            assert archive.extractfile(member.name).read() == member.path.read_bytes()
            assert archive.getmember(member.name).mtime == 1_700_000_000


def test_its_size_is_known_before_and_it_is_the_same_each_time(members, whole):
    tar = Tar(members, mtime=1_700_000_000)
    assert tar.size == len(whole)
    assert tar.size % 512 == 0
    with tar.open() as file:
        assert file.read() == whole


@given(data=st.data())
def test_any_range_is_what_it_is_of_the_whole(members, whole, data):
    start = data.draw(st.integers(0, len(whole)))
    count = data.draw(st.integers(0, len(whole)))
    with Tar(members, mtime=1_700_000_000).open() as file:
        file.seek(start)
        assert file.read(count) == whole[start : start + count]


def test_a_file_that_became_shorter_is_an_error_and_no_endless_loop(tmp_path):
    path = tmp_path / "short"
    path.write_bytes(b"ab")
    tar = Tar([Member("short", path, 4)], mtime=0)
    with pytest.raises(FileNotFoundError), tar.open() as file:
        file.read()


def test_an_archive_of_nothing_is_its_end():
    with Tar([], mtime=0).open() as file:
        assert file.read() == bytes(1024)
