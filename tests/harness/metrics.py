"""What a Prometheus would read of a server."""

from __future__ import annotations

import re
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from tests.harness.server import Server


class Metrics:
    """The samples of one reading."""

    def __init__(self, text: str) -> None:
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self._samples = {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float:
        """One sample; 0 for one that is not there."""
        return self._samples.get((name, tuple(sorted(labels.items()))), 0.0)

    def labels(self, label: str) -> set[str]:
        """All values of a label."""
        return {dict(labels)[label] for _, labels in self._samples if label in dict(labels)}

    @property
    def names(self) -> set[str]:
        """All names that a query may use, those of metrics without a sample too."""
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
        return {f"{one.name}{suffix}" for one in self.families.values() for suffix in suffixes.get(one.type, ("",))}


def metrics_url(server: Server) -> str:
    """Where the server says that its metrics are."""
    found = re.search(r"^ *metrics +(http://\S+)$", server.output, re.MULTILINE)
    assert found is not None, server.output
    return found[1]


def read_metrics(server: Server) -> Metrics:
    """Read all metrics now."""
    with urllib.request.urlopen(metrics_url(server), timeout=30) as response:  # noqa: S310
        assert response.headers["content-type"].startswith("text/plain; version=")
        return Metrics(response.read().decode())
