import { expect, test } from "vitest";
import { faultCodes } from "#core/fault.ts";
import { harness } from "./harness.ts";

const anonymous = { headers: { authorization: null } };

test("the contract is public and names every address, its schemas and its problems", async () => {
  const { ask } = harness();

  const { status, body } = await ask("/openapi.json", anonymous);

  expect(status).toBe(200);
  expect(body.openapi).toBe("3.1.0");
  const operations = Object.entries(body.paths).flatMap(([path, methods]) => Object.keys(methods as object).map((method) => `${method.toUpperCase()} ${path}`));
  expect(operations.sort()).toEqual([
    "GET /approvals/{token}",
    "GET /healthz",
    "GET /v1/approvals",
    "GET /v1/approvals/{runId}/{key}",
    "GET /v1/dead-letters",
    "GET /v1/dead-letters/groups",
    "GET /v1/dead-letters/{runId}",
    "GET /v1/runs",
    "GET /v1/runs/{id}",
    "GET /v1/runs/{id}/audit",
    "GET /v1/runs/{id}/journal",
    "GET /v1/runs/{id}/steps",
    "GET /v1/runs/{id}/steps/{key}",
    "GET /v1/workflows",
    "GET /v1/workflows/{name}",
    "GET /v1/workflows/{name}/explain",
    "POST /approvals/{token}",
    "POST /callbacks/{token}",
    "POST /slack/interactions",
    "POST /v1/approvals/{runId}/{key}/decide",
    "POST /v1/dead-letters/bulk",
    "POST /v1/dead-letters/{runId}/discard",
    "POST /v1/dead-letters/{runId}/redrive",
    "POST /v1/runs/{id}/cancel",
    "POST /v1/runs/{id}/events/{name}",
    "POST /v1/runs/{id}/fork",
    "POST /v1/runs/{id}/pause",
    "POST /v1/runs/{id}/resume",
    "POST /v1/runs/{id}/retry",
    "POST /v1/runs/{id}/rollback",
    "POST /v1/runs/{id}/steps/{key}/complete",
    "POST /v1/runs/{id}/steps/{key}/fail",
    "POST /v1/runs/{id}/steps/{key}/retry",
    "POST /v1/runs/{id}/steps/{key}/skip",
    "POST /v1/runs/{id}/terminate",
    "POST /v1/workflows/{name}/runs",
  ]);
  expect(body.components.schemas.Problem.properties.code.enum).toEqual(Object.keys(faultCodes));
  expect(body.components.schemas.Start.additionalProperties).toBe(false);
  expect(body.components.securitySchemes).toMatchObject({ bearer: { scheme: "bearer" }, apiKey: { name: "X-API-Key" } });
  expect(body.security).toEqual([{ bearer: [] }, { apiKey: [] }]);
  expect(body.paths["/callbacks/{token}"].post.security).toEqual([]);
  const start = body.paths["/v1/workflows/{name}/runs"].post;
  expect(start.parameters.map((it: { name: string }) => it.name)).toEqual(["name", "wait", "idempotency-key", "accept-values", "content-values"]);
  expect(Object.keys(start.responses)).toEqual(["200", "201", "default"]);
});

test("every reference of the contract leads somewhere", async () => {
  const { ask } = harness();
  const { body } = await ask("/openapi.json", anonymous);
  const references = [...JSON.stringify(body).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)].map((match) => match[1]!);
  expect(references.length).toBeGreaterThan(10);
  for (const name of references) expect(body.components.schemas).toHaveProperty(name);
});

test("the error of a run that is read alone may be anything, so its schema does not build on that of a run in a list", async () => {
  const { ask } = harness();
  const { body } = await ask("/openapi.json", anonymous);
  for (const name of ["RunDetail", "StartedRun"]) {
    expect(body.components.schemas[name]).not.toHaveProperty("allOf");
    expect(body.components.schemas[name].properties.error).not.toHaveProperty("$ref");
    expect(body.components.schemas[name].properties.error).not.toHaveProperty("type");
  }
});

test("whether the Worker answers may be asked without a key", async () => {
  const { ask } = harness();
  expect(await ask("/healthz", anonymous)).toMatchObject({ status: 200, body: { status: "ok" } });
});
