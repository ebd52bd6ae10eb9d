"""Reads control and status topics as any other client would: JSON, no code of the worker."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from confluent_kafka import Message

from tests.checker.history import CanaryShare, Rollout, VersionSaid, WorkerSaid
from tests.checker.reading import microseconds

HUNDREDTHS_PER_PERCENT = 100


def read_rollouts(messages: Sequence[Message], *, model: str, before: str) -> list[Rollout]:
    """Return the control records of a model that count, in their order, after revision 0, which serves `before`.

    What is no JSON object with a version of this model, or no newer than what counted, is passed over.
    """
    counted = [Rollout(0, before)]
    for message in messages:
        told = _object(message.value())
        stable = told.get("stable")
        version = stable.get("version") if isinstance(stable, dict) else None
        revision = told.get("revision", counted[-1].revision + 1)
        is_ours = told.get("model") == model and isinstance(version, str) and isinstance(revision, int)
        if is_ours and revision > counted[-1].revision:
            canary = _canary(told.get("canary"), default_seed=f"{model}/{revision}")
            counted.append(Rollout(revision, str(version), canary, message.timestamp()[1]))
    return counted


def read_statuses(messages: Sequence[Message]) -> list[WorkerSaid]:
    """Return what workers said, in the order of the topic; raises KeyError for a status that lacks a field."""
    return [_said(json.loads(message.value() or b"{}")) for message in messages]


def _canary(told: Any, *, default_seed: str) -> CanaryShare | None:
    if not told:
        return None
    hundredths = round(told["percent"] * HUNDREDTHS_PER_PERCENT)
    return CanaryShare(told["version"], hundredths, told.get("seed", default_seed))


def _object(value: bytes | None) -> Mapping[str, Any]:
    try:
        told = json.loads(value or b"{}")
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _said(status: Mapping[str, Any]) -> WorkerSaid:
    return WorkerSaid(
        worker=status["worker"],
        applied_revision=status["applied_revision"],
        versions=tuple(_version(one) for one in status["versions"]),
        tripped=status["tripped"],
        reported=tuple(status.get("reported", ())),
        at_us=_us(status["at"]),
    )


def _version(one: Mapping[str, Any]) -> VersionSaid:
    return VersionSaid(
        one["version"], one["digest"], one["variant"], one["state"], one["reason"], since_us=_us(one["since"])
    )


def _us(moment: str) -> int:
    return microseconds(datetime.fromisoformat(moment))
