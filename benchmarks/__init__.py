"""Benchmarks on a real Kafka; docs/benchmarks.md says what each measures. Each command is `python -m benchmarks.NAME`.

run          the speed of all competitors, in one interleaved session: `make bench`, and `make bench-heavy`
latency      open-loop latency at fixed rates: `make bench-latency`
partitions   one worker on 4 and on 1,000 partitions: `make bench-partitions`
memory       ten minutes at full load, and a slow output side: `make bench-memory`
scrape       what the metrics page costs: `make bench-metrics`
scaling      1, 2 and 4 workers: `make bench-scaling`
swap         what the stream notices of a swap: `make bench-swap`
gpu          models on a CUDA device: `make bench-gpu`

competitors  who takes part, and how each is started
    plain_loop, tuned_loop, aiokafka_loop, stock_faust     one file each; loop: what they share
job          the events, the schemas, and the codec of the loops
    sequence, embedded, networks     models beside the small one
ground       cluster, topics and model of a session; warm: makes transactions until a new broker's Java has compiled
watch        measures competitors from outside; page: reads a worker's metrics; control: rolls its versions
    pace, feed: send events; arrivals, answers: read predictions; processes: how these are run
    windows      latencies in stretches of time
stats        medians, ratios, slopes; host: what the host of a virtual machine took meanwhile
report       JSON and documents; speed_report, latency_report, swap_report, plot: what goes into them
goals        what the figures are held against
"""
