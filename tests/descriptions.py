"""Holds a server's answers against its own OpenAPI description."""

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)


def check_description(address, examples):
    """Send so many random requests, valid and not, to each address: every answer is one that the description promises."""
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    checks = [
        not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
        response_headers_conformance, unsupported_method,
    ]  # fmt: skip

    paths = set()
    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(
            max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
        )
        @given(case=operation.as_strategy())
        def check(case):
            case.call_and_validate(checks=checks)

        check()
        paths.add(operation.path)
    assert paths == {
        "/v1/predict", "/v1/predict/batch", "/v1/models", "/live", "/ready", "/metrics", "/health", "/setup", "/predict",
        "/webhook", "/x-anylabeling/v1/models", "/x-anylabeling/v1/predict",
    }  # fmt: skip
