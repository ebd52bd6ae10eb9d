"""Where versions come from when they do not lie on this machine.

location    a URL in one spelling, and what lies below it       faults      whose fault a failed read is
remote      any fsspec URL                                       registry    MLflow's `models:/` URIs
copy        chunks to checked files                              store       fetched versions on this machine's disk
prune       which of them go
"""
