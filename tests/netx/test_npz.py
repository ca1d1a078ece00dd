"""Arrays come back as numpy wrote them; what is damaged, hostile or something else is refused by file and member."""

import io
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from netx import FormatError
from netx.npz import read_npz

NUMBERS = arrays_of.arrays(
    st.sampled_from(
        [np.bool_, np.uint8, np.int16, np.dtype(">i4"), np.int64, np.float32, np.dtype("U3"), np.dtype("S2")]
    ),
    arrays_of.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
)


def stored(array) -> bytes:
    content = io.BytesIO()
    np.save(content, array, allow_pickle=True)
    return content.getvalue()


def archive(path: Path, members, method=zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members:
            file.writestr(name, content)
    return path


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=NUMBERS, second=NUMBERS, fortran=st.booleans(), compressed=st.booleans())
def test_what_numpy_writes_comes_back(tmp_path, first, second, fortran, compressed):
    first = np.asfortranarray(first) if fortran else first
    (np.savez_compressed if compressed else np.savez)(tmp_path / "two.npz", **{"one": first, "a/b": second})
    found = read_npz(tmp_path / "two.npz")
    assert list(found) == ["one", "a/b"]
    for array, expected in ((found["one"], first), (found["a/b"], second)):
        assert array.dtype == expected.dtype
        assert array.shape == expected.shape
        np.testing.assert_array_equal(array, expected)
    np.save(tmp_path / "frames.npy", first)
    np.testing.assert_array_equal(read_npz(tmp_path / "frames.npy")["frames"], first)


def test_the_first_bytes_say_what_a_file_is_and_not_its_name(tmp_path):
    (tmp_path / "odd.npz").write_bytes(stored(np.arange(3)))
    assert list(read_npz(tmp_path / "odd.npz")) == ["odd"]


def test_an_archive_without_members_holds_nothing(tmp_path):
    assert read_npz(archive(tmp_path / "none.npz", [])) == {}


FRAMES = stored(np.arange(12.0).reshape(3, 4))
RECORDS = stored(np.zeros(2, [("a", "i4"), ("b", "f4")]))
OBJECTS = stored(np.array([{}], dtype=object))


def claims(shape: str) -> bytes:
    """An ``.npy`` whose header speaks of another shape than its values have."""
    return FRAMES.replace(b"(3, 4), }", f"({shape}), }}".encode())


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is not an .npy or .npz file of numbers"),
        (b"frames", "it begins with b'fram'"),
        (pickle.dumps([1]), "it begins with"),
        (OBJECTS, "holds values of type object"),
        (RECORDS, "holds values of type"),
        (stored(np.array(1j)), "holds values of type complex128"),
        (FRAMES[:-1], "ends early or late"),
        (FRAMES + b"x", "ends early or late"),
        (FRAMES[:40], "is not an .npy or .npz file of numbers"),
        (claims("3, 5"), r"\(3, 5\) of float64 are 120 bytes, and 96 are there"),
        (claims("9999999, 99999999"), "holds 7999999120000008 bytes, more than"),
        (FRAMES.replace(b"<f8", b"<z9"), "is not an .npy or .npz file of numbers"),
        (b"\x93NUMPY\x09\x00" + FRAMES[8:], "is of version 9.0"),
    ],
)
def test_a_file_that_is_no_array_of_numbers_is_refused_and_so_it_is_within_an_archive(content, complaint, tmp_path):
    (tmp_path / "f.npy").write_bytes(content)
    with pytest.raises(FormatError, match=rf"f\.npy: .*{complaint}"):
        read_npz(tmp_path / "f.npy")
    if not complaint.startswith("it begins"):
        path = archive(tmp_path / "f.npz", [("good.npy", FRAMES), ("bad.npy", content)])
        within = "is no whole array of numbers" if "of numbers" in complaint else complaint
        with pytest.raises(FormatError, match=rf"f\.npz: bad\.npy: .*{within}"):
            read_npz(path)


def test_what_is_no_file_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "none.npz"):
        with pytest.raises(FormatError, match="there is no such file"):
            read_npz(path)


@pytest.mark.parametrize(
    ("members", "method", "complaint"),
    [
        ([("note.txt", b"hello")], zipfile.ZIP_DEFLATED, "note.txt: is no array"),
        ([("a.npy", FRAMES)], zipfile.ZIP_LZMA, "a.npy: is compressed in a way that numpy does not write"),
    ],
)
def test_an_archive_of_something_else_is_refused(members, method, complaint, tmp_path):
    with pytest.raises(FormatError, match=rf"f\.npz: {complaint}"):
        read_npz(archive(tmp_path / "f.npz", members, method))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(tmp_path):
    with pytest.raises(FormatError, match=r"a\.npy: is there twice"):
        read_npz(archive(tmp_path / "f.npz", [("a.npy", FRAMES), ("a.npy", FRAMES)]))


def test_a_file_that_unpacks_to_more_than_asked_for_is_refused_before_memory_is(tmp_path):
    path = tmp_path / "zeros.npz"
    np.savez_compressed(path, a=np.zeros(1 << 20), b=np.zeros(1 << 20))
    with pytest.raises(FormatError, match="unpacks to 16777472 bytes, more than 10000000"):
        read_npz(path, most=10_000_000)
    assert set(read_npz(path)) == {"a", "b"}


def test_a_file_that_is_itself_as_large_is_read(tmp_path):
    np.save(tmp_path / "large.npy", np.arange(10_000))
    assert len(read_npz(tmp_path / "large.npy", most=100)["large"]) == 10_000


def test_sizes_that_cannot_come_out_of_what_is_stored_are_refused(tmp_path):
    """The central directory says four gigabytes less one byte of a member of a hundred."""
    path = archive(tmp_path / "liar.npz", [("a.npy", FRAMES)])
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\x01\x02")
    struct.pack_into("<I", content, entry + 24, 0xFFFFFFFE)
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"liar\.npz: a\.npy: says it unpacks \d+ bytes to 4294967294"):
        read_npz(path)


def test_a_damaged_or_shortened_archive_gives_its_arrays_or_a_format_error(tmp_path):
    path = tmp_path / "f.npz"
    np.savez_compressed(path, a=np.arange(300), b=np.ones((4, 5), np.float32))
    whole = path.read_bytes()
    random = np.random.default_rng(3)
    for number in range(400):
        content = bytearray(whole)
        if number % 4 == 0:
            content = content[: random.integers(len(whole))]
        else:
            for _ in range(random.integers(1, 5)):
                content[random.integers(len(whole))] = random.integers(256)
        path.write_bytes(content)
        try:
            read_npz(path)
        except FormatError as error:
            assert str(error).startswith(f"{path}: ")  # noqa: PT017


def test_what_is_too_large_is_refused_in_little_memory(tmp_path):
    path = tmp_path / "f.npz"
    np.savez_compressed(path, a=np.zeros(1 << 24))
    script = (
        "import resource, sys; from pathlib import Path; from netx import FormatError; from netx.npz import read_npz\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: read_npz(Path(sys.argv[1]), 1 << 20)\n"
        "except FormatError: pass\n"
        "else: raise AssertionError\n"
        "assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 14\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
