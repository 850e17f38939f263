"""Random requests made from the service's own OpenAPI document (a longer run: docs/serve.md)."""

from __future__ import annotations

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

EXAMPLES = 4
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def test_answers_to_random_requests_are_those_of_the_document(address: str) -> None:
    document = schemathesis.openapi.from_url(f"{address}/api/openapi.json")
    document = document.exclude(path="/api/stream")  # its answer never ends
    operations = [result.ok() for result in document.get_all_operations()]
    assert len(operations) >= 28
    for operation in operations:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                derandomize=True,
                database=None,
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def check(case: schemathesis.Case) -> None:
                answer = case.call(timeout=60)
                case.validate_response(answer, checks=CHECKS)

            if mode is GenerationMode.POSITIVE or operation.get_parameter_set("query"):
                check()
