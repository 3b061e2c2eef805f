import sys, tempfile, time, statistics
from pathlib import Path
from benchmarks.line_process import LineProcess
from benchmarks.floor_process import FloorProcess
kinds = sys.argv[1:] or ["fork","forkserver","spawn","loky","pebble","PoolPeer","apscheduler"]
with tempfile.TemporaryDirectory(prefix=".bench-", dir=".") as d:
    with FloorProcess("floor", Path(d)/"floor") as f:
        for s in ("NORMAL","FULL"):
            t = f.ask("exchange", child=s, parent=s, workers=1, count=200)
            print("floor", s, statistics.median(t)/1000, f.ask("flood", child=s, parent=s, workers=2, window=16, seconds=.5, grouped=False), f.ask("flood", child=s, parent=s, workers=2, window=16, seconds=.5, grouped=True))
    for k in kinds:
        mod = "pools" if ":" not in k else k.split(":")[0]
        k = k.split(":")[-1]
        p = Path(d)/k; p.mkdir()
        t0=time.time()
        with LineProcess(k, "benchmarks.peers.serve", [f"benchmarks.peers.{mod}:{k}", str(p), "2"], Path(d)/f"{k}.err") as proc:
            for s in ("NORMAL","FULL"):
                t = proc.ask("exchange", child=s, parent=s, count=200)
                print(k, s, statistics.median(t)/1000, max(t)/1000, proc.ask("flood", child=s, parent=s, window=32, seconds=.5, grouped=False), proc.ask("flood", child=s, parent=s, window=32, seconds=.5, grouped=True), proc.ask("workers"))
            t1=time.time()
        print("   closing", time.time()-t1, "all", time.time()-t0, Path(d,f"{k}.err").read_text()[-300:])
