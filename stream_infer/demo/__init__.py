"""`stream-infer demo`: the main job on real rows, without a Kafka; or on a Kafka of yours.

digits        the rows: scikit-learn's hand-written digits
train         a small network, trained on part of them
cache         the network as a model version that is made once
plan          the settings of this run, and the file that the worker reads them from
events        rows to Avro events, predictions to answers
cluster       a broker inside this process, or yours; the topics of this run on it
worker        the worker: a process of its own
gauges        batch sizes, read from the worker's metrics page
score         what is known so far: rate, latency, accuracy (pure)
view          the same for a person: a live table, or lines
stream        sends events and reads answers until all is answered
interruption  Ctrl-C: the end at once, or a wish to come to an end
run           one demo from start to end
"""
