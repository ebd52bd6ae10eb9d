"""`stream-infer demo`: the main job on real rows, without a Kafka; or on a Kafka of yours.

digits        the rows: scikit-learn's hand-written digits
train         small networks, trained on part of them, and a broken one
cache         the networks as model versions that are made once
plan          the settings of this run, and the file that the worker reads them from
events        rows to Avro events, predictions to answers
cluster       a broker inside this process, or yours; the topics of this run on it
worker        the worker: a process of its own
gauges        batch sizes, read from the worker's metrics page
score         what is known so far: rate, latency, accuracy (pure)
script        what the operator of this run says when, and how it ended (pure)
rollout       plays the script: control topic out, status topic in
view          the same for a person: a live table, or lines
stream        sends events and reads answers until all is answered
interruption  Ctrl-C: the end at once, or a wish to come to an end
run           one demo from start to end
"""
