import errno
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

BLOCK = 4096
GIB_BLOCKS = 2**30 // BLOCK


class Disks:
    """Stands in for psutil and os: file systems mounted on real, empty directories."""

    def __init__(self, root):
        self.root = root
        self.mounted = {}
        self.broken = {}
        self.touched = []

    def mount(self, name, *, used_gib=50, total_gib=100, fstype="ext4", device=None, inodes=30):
        path = self.root / name
        path.mkdir(exist_ok=True)
        self.mounted[str(path)] = SimpleNamespace(
            mountpoint=str(path), device=device or f"/dev/{name}", fstype=fstype
        )
        self.use(name, used_gib=used_gib, total_gib=total_gib, inodes=inodes)
        return str(path)

    def use(self, name, *, used_gib, total_gib=100, inodes=30):
        part = self.mounted[str(self.root / name)]
        free = int((total_gib - used_gib) * GIB_BLOCKS)
        part.sizes = SimpleNamespace(
            f_blocks=int(total_gib * GIB_BLOCKS),
            f_bfree=free,
            f_bavail=free,
            f_frsize=BLOCK,
            f_files=100,
            f_favail=100 - inodes,
        )

    def disk_partitions(self, **asked):
        network = {"nfs", "nfs4", "cifs"}
        return [
            part for part in self.mounted.values() if asked["all"] or part.fstype not in network
        ]

    def statvfs(self, path):
        self.touched.append(path)
        if path == "/":
            return self.statvfs_of_root()
        if path in self.broken:
            raise OSError(self.broken[path], "broken")
        return self.mounted[path].sizes

    def statvfs_of_root(self):
        return SimpleNamespace(
            f_blocks=10 * GIB_BLOCKS,
            f_bfree=9 * GIB_BLOCKS,
            f_bavail=9 * GIB_BLOCKS,
            f_frsize=BLOCK,
            f_files=0,  # as on btrfs
            f_favail=0,
        )


@pytest.fixture
def bench(make_bench):
    return make_bench("disk")


@pytest.fixture
def disks(bench, monkeypatch, tmp_path):
    fake = Disks(tmp_path)
    monkeypatch.setattr(bench.module, "psutil", fake)
    monkeypatch.setattr(bench.module, "os", fake)
    return fake


def events(payload):
    return [(event["mount"], event["event"]) for event in payload["events"]]


def test_the_first_look_tells_every_local_file_system(bench, disks):
    srv = disks.mount("srv", used_gib=60)
    payload = bench.look()
    assert payload["reason"] == "first"
    assert [mount["mount"] for mount in payload["mounts"]] == ["/", srv]
    assert payload["summary"] == f"{srv} fullest of 2: 60 % used, 40.0 GiB free"


def test_a_full_file_system_is_told_once_and_its_recovery_too(bench, disks):
    srv = disks.mount("srv", used_gib=88)
    bench.look()
    told = []
    for used_gib in (91, 89, 91, 88.5, 87):
        disks.use("srv", used_gib=used_gib)
        payload = bench.look(after_s=30, full_percent=90)
        told.append(payload and events(payload))
    assert told == [[(srv, "full")], None, None, None, [(srv, "recovered")]]


def test_few_free_bytes_are_full_on_a_large_file_system_only(bench, disks):
    large = disks.mount("large", used_gib=99.5, total_gib=100)
    disks.mount("boot", used_gib=0.1, total_gib=0.4)
    payload = bench.look(full_percent=100, free_mib=1024)
    assert payload["full"] == [large]


def test_used_up_inodes_are_full_too(bench, disks):
    srv = disks.mount("srv", inodes=97)
    payload = bench.look()
    assert payload["full"] == [srv]
    assert payload["summary"].endswith(f"{srv} fullest of 2: 97 % of its inodes used")


def test_blocks_kept_for_root_count_as_df_counts_them(bench, disks):
    disks.mount("srv", used_gib=76)
    sizes = disks.mounted[str(disks.root / "srv")].sizes
    sizes.f_bavail = 19 * GIB_BLOCKS  # 24 GiB are free, 5 of them root's
    assert bench.look()["mounts"][1]["used_percent"] == 80.0


def test_a_large_change_is_told(bench, disks):
    srv = disks.mount("srv", used_gib=50)
    bench.look()
    disks.use("srv", used_gib=53)
    assert bench.look(after_s=30, change_points=5) is None
    disks.use("srv", used_gib=56)
    payload = bench.look(after_s=30, change_points=5)
    assert events(payload) == [(srv, "changed")]
    assert payload["summary"] == f"{srv} changed: 56 % used, 44.0 GiB free"


def test_a_mount_that_vanishes_is_told_once(bench, disks):
    srv = disks.mount("srv")
    bench.look()
    del disks.mounted[srv]
    payload = bench.look(after_s=30)
    assert events(payload) == [(srv, "gone")]
    assert payload["summary"] == f"{srv} is gone"
    assert bench.look(after_s=30) is None


def test_a_mount_that_cannot_be_read_any_more_is_gone(bench, disks):
    srv = disks.mount("srv")
    bench.look()
    disks.broken[srv] = errno.EIO
    assert events(bench.look(after_s=30)) == [(srv, "gone")]
    del disks.broken[srv]
    assert events(bench.look(after_s=30)) == [(srv, "appeared")]


def test_a_mount_that_comes_full_is_told_as_full(bench, disks):
    bench.look()
    srv = disks.mount("srv", used_gib=99)
    assert events(bench.look(after_s=30)) == [(srv, "full")]


def test_a_network_mount_is_not_touched_unless_it_is_named(bench, disks):
    nfs = disks.mount("nfs", fstype="nfs4")
    bench.look()
    assert nfs not in disks.touched
    payload = bench.look(after_s=1800, mounts=[nfs])
    assert [mount["mount"] for mount in payload["mounts"]] == [nfs]


def test_a_named_mount_that_is_not_mounted_is_not_touched(bench, disks):
    payload = bench.look(mounts=["/mnt/backup"])
    assert (payload["mounts"], disks.touched) == ([], [])
    assert payload["summary"] == "No file system to look at"


def test_a_device_mounted_twice_is_told_once_at_its_shortest_mount_point(bench, disks):
    short = disks.mount("a", device="/dev/x")
    disks.mount("longer", device="/dev/x")
    assert [mount["mount"] for mount in bench.look()["mounts"]] == ["/", short]


def test_a_single_file_that_is_mounted_is_no_file_system(bench, disks):
    hosts = disks.root / "hosts"
    hosts.touch()
    disks.mounted[str(hosts)] = SimpleNamespace(
        mountpoint=str(hosts), device="/dev/y", fstype="ext4"
    )
    assert [mount["mount"] for mount in bench.look()["mounts"]] == ["/"]


def test_images_that_are_full_by_nature_are_left_out(bench, disks):
    disks.mount("snap", fstype="squashfs", used_gib=100)
    assert bench.look()["full"] == []


def test_a_mount_point_that_is_no_text_is_told_all_the_same(bench, disks):
    disks.mount("b\udcff", used_gib=95)
    assert bench.look()["full"] == [f"{disks.root}/b?"]


def test_many_events_are_summed_up(bench, disks):
    bench.look()
    for number in range(5):
        disks.mount(f"m{number}")
    payload = bench.look(after_s=30)
    assert len(payload["events"]) == 5
    assert payload["summary"].endswith("; and 2 more")


def test_a_heartbeat_comes_when_nothing_changes(bench, disks):
    bench.look()
    assert bench.look(after_s=1799) is None
    assert bench.look(after_s=1)["reason"] == "heartbeat"


def test_old_readings_are_pruned(bench, disks):
    bench.look()
    bench.look(after_s=31 * 86_400)
    assert bench.rows("SELECT count(*) FROM readings") == [(1,)]


def test_it_runs_on_this_machine(bench):
    root = bench.look()["mounts"][0]
    assert root["mount"] == "/"
    assert root["total_bytes"] > 0


@pytest.mark.parametrize("wrong", [{"full_percent": 0}, {"mounts": "/"}, {"free": 1}])
def test_options_out_of_range_or_unknown_are_refused(bench, wrong):
    with pytest.raises(ValidationError):
        bench.module.Options.model_validate(wrong)
