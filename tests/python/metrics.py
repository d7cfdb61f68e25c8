"""Reads two expositions of the same moment as Prometheus' own Python client does: both must hold the same series."""

import sys

from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics


def series(families):
    """All series by name and labels."""
    found = {}
    for family in families:
        for sample in family.samples:
            labels = dict(sample.labels)
            # One writes 1 where the other writes 1.0.
            if "le" in labels:
                labels["le"] = float(labels["le"])
            key = (sample.name, tuple(sorted(labels.items())))
            assert key not in found, f"{key} is there twice"
            found[key] = sample.value
    return found


def main():
    """Compares them, and says how many there are."""
    with open(sys.argv[1], encoding="utf-8") as file:
        first = series(openmetrics.text_string_to_metric_families(file.read()))
    with open(sys.argv[2], encoding="utf-8") as file:
        second = series(parser.text_string_to_metric_families(file.read()))
    # What the process uses up goes on between the two.
    for key in list(first):
        if key[0].startswith(("process_", "olvid_rules_heap")) or "cpu" in key[0]:
            assert key in second, key
            del first[key], second[key]
    assert first == second, sorted(set(first.items()) ^ set(second.items()))
    print(f"{len(first)} series")


main()
