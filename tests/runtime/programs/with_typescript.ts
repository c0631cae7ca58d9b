// Every operation of the app through the generated client, on an app that has the dataset, with a destroy that is put off once.

import assert from "node:assert/strict";
import * as api from "./client/index.js";
import { client } from "./client/client.gen.js";
import type { DestroyRecordsResponses, FailedOperation, Operation, Run } from "./client/index.js";

const APP = process.env["APP"] ?? "";
const KEY = process.env["KEY"] ?? "";
const dataset = { source: "graph", dataset: "enpower-powerapps" } as const;
const connection = { opusConnectionId: "b4bbdbbd-cf2d-5c44-939b-be86bc688035" };

client.setConfig({ baseUrl: `${APP}/api`, auth: ({ type }) => (type === "apiKey" ? KEY : undefined) });

type Result<T> = { data?: T | undefined; error?: unknown; response?: Response | undefined };

function answered<T>(status: number, result: Result<T>): { data: T; headers: Headers } {
  assert.equal(result.response?.status, status, JSON.stringify(result.error ?? result.data));
  return { data: result.data as T, headers: result.response.headers };
}

async function wait(headers: Headers): Promise<void> {
  await new Promise((done) => setTimeout(done, Number(headers.get("Retry-After")) * 1000));
}

async function harvested(): Promise<Run> {
  const body = { source: dataset.source, datasets: [dataset.dataset] };
  const plan = answered(200, await api.startHarvest({ body, query: { dryRun: true } })).data;
  assert.ok("leastRequests" in plan);
  const started = answered(202, await api.startHarvest({ body }));
  assert.ok("runId" in started.data);
  assert.match(started.headers.get("Location") ?? "", new RegExp(`/runs/${started.data.runId}`));
  for (;;) {
    const seen = await api.getRun({ path: { runId: started.data.runId }, query: { wait: true } });
    if (seen.response?.status === 200) return answered(200, seen).data;
    await wait(answered(202, seen).headers);
  }
}

async function tableOf(run: Run): Promise<void> {
  for (;;) {
    const { data } = answered(200, await api.listDatasets({ query: { source: dataset.source } }));
    const table = data.value.find((one) => one.name === dataset.dataset)?.table;
    if (table?.runId === run.runId && table.state === "current") return;
    await new Promise((done) => setTimeout(done, 500));
  }
}

async function ofTheApp(): Promise<void> {
  while ((await api.health()).data?.status !== "ok") await new Promise((done) => setTimeout(done, 500));
  assert.ok(answered(200, await api.healthDetails()).data.checks.length > 0);
  assert.equal(answered(200, await api.getOpenapi()).data["openapi"], "3.1.0");
  const refused = await api.healthDetails({ auth: () => undefined });
  assert.equal(refused.response?.status, 401);
}

async function ofRunsAndTables(): Promise<void> {
  const begun = [answered(202, await api.onSnapshot()), answered(202, await api.onChange())];
  assert.deepEqual(begun.map((one) => new URL(one.headers.get("Location") ?? "").searchParams.has("triggerState")), [true, true]);
  const run = await harvested();
  assert.equal(run.state, "succeeded");
  const path = { runId: run.runId };
  assert.equal(answered(200, await api.listRuns({ query: { top: 1 } })).data.value[0]?.runId, run.runId);
  assert.equal(answered(200, await api.resumeRun({ path })).data.state, "succeeded");
  assert.equal(answered(200, await api.cancelRun({ path })).data.state, "succeeded");
  await tableOf(run);
  assert.equal(answered(200, await api.getLatest({ path: dataset })).data.runId, run.runId);
  assert.equal(answered(200, await api.listSnapshots({ path: dataset })).data.value[0]?.runId, run.runId);
  assert.ok(answered(200, await api.getSchema({ path: dataset })).data.columns.some((one) => one.name === "displayName"));
  const first = answered(200, await api.listItems({ path: dataset, query: { top: 1000, select: "id,displayName", orderby: "id" } })).data;
  assert.ok(typeof first !== "string" && typeof first.value[0]?.["displayName"] === "string");
  const changes = answered(200, await api.listChanges({ path: dataset, query: { change: "added" } })).data;
  assert.ok(typeof changes !== "string" && changes.until === run.runId);
  assert.equal(answered(200, await api.getHistory({ path: dataset })).data.value[0]?.items, first.value.length);
  assert.ok(answered(200, await api.listReports()).data.value.some((one) => one.name === "growth"));
  const growth = answered(200, await api.getReport({ path: { report: "growth" } })).data;
  assert.ok(typeof growth !== "string" && growth.value.length === 1);
  answered(202, await api.rebuildTable({ path: dataset }));
  await tableOf(run);
  const missing = await api.getLatest({ path: { ...dataset, dataset: "enpower-apps" } });
  assert.equal(missing.response?.status, 404);
  assert.ok(missing.error && "error" in missing.error);
  assert.equal(missing.error.error.code, "NotFound");
}

async function ofOpus(): Promise<void> {
  const times = { timeCreated: "2020-01-15T08:30:00Z", timeModified: "2020-01-15T08:30:00Z" };
  const records = ["a", "b"].map((key) => ({ rowKey: `ts-${key}`, leafName: key, ...times, createdBy: "ann", modifiedBy: "ben" }));
  const custom = { ...records[0]!, contractValue: { type: "number" as const, value: 4.5 } };
  const submit = { path: connection, body: { conflictOption: "Overwrite" as const, records: [custom, records[1]!] } };
  assert.equal(answered(200, await api.submitRecords(submit)).data.succeeded, 2);
  const due = answered(200, await api.listDueRecords({ path: connection, query: { before: new Date().toISOString(), top: 1 } })).data;
  assert.equal(due.value[0]?.rowKey, "ts-a");
  const next = await fetch(due.nextLink ?? "", { headers: { "x-functions-key": KEY } });
  const rest = (await next.json()) as typeof due;
  assert.equal(rest.value[0]?.rowKey, "ts-b");

  const body = { ids: ["ts-a", "ts-b"] };
  const rehearsed = answered(200, await api.destroyRecords({ body, headers: { "Idempotency-Key": "ts" }, query: { dryRun: true } })).data;
  assert.ok("dryRun" in rehearsed && rehearsed.requests.length === 1);
  const accepted = answered(202, await api.destroyRecords({ body, headers: { "Idempotency-Key": "ts" } }));
  const started: DestroyRecordsResponses[202] = accepted.data as Operation;
  assert.ok(["NotStarted", "Running"].includes(started.status));
  const path = { operationId: started.operationId };
  const query = { token: new URL(accepted.headers.get("Location") ?? "").searchParams.get("token") ?? "" };
  let polled = await api.pollOperation({ path, query, auth: () => undefined });
  while (polled.response?.status === 202) {
    await wait(polled.response.headers);
    polled = await api.pollOperation({ path, query, auth: () => undefined });
  }
  const ended = answered(200, polled).data;
  assert.equal(ended.status, "Succeeded");
  assert.deepEqual(answered(200, await api.getOperation({ path })).data, ended);
  assert.equal(answered(200, await api.cancelOperation({ path })).data.status, "Succeeded");
  assert.equal(answered(200, await api.listOperations()).data.value.length, 2);

  const word = { outcome: "Succeeded" as const, note: "Looked into Opus.", checkedBy: "ann" };
  assert.equal((await api.resolveOperation({ path, body: word })).response?.status, 409);
  const again = await api.destroyRecords({ body, headers: { "Idempotency-Key": "ts-again" } });
  assert.equal(again.response?.status, 422);
  assert.ok(again.error && "operation" in again.error);
  const failed: FailedOperation = again.error;
  assert.deepEqual([failed.error.code, failed.operation.failed.length], ["AllFailed", 2]);
}

await ofTheApp();
await ofRunsAndTables();
await ofOpus();
