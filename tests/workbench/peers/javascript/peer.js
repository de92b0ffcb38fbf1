// What mdatp-forward does, in JavaScript: the alerts of the last day, each joined with its machine, into Log Analytics.
//
// The benchmark compares mdatp-forward with it, so it is as fast as these libraries let a plain program be. Connections
// are reused, each machine is looked up once, up to 30 machines per call and eight calls at a time, and a page is sent
// while the next one is read. It prints ready when it is loaded and done when everything is sent, and waits for a line
// after both, so that its time, processor time and memory can be measured from outside.

import { createHmac } from "node:crypto";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

const { env } = process;
const DEFENDER = "https://api.securitycenter.microsoft.com/.default";
const STREAM = "Custom-MDATPAlerts_CL";
const PAGE = 1000;
const IDS_A_CALL = 30;
const CALLS_AT_ONCE = 8;
const TRIES = 6;

/** Node's fetch reuses its connections. Transient errors are retried. */
async function call(url, options) {
  for (let tried = 1; ; tried++) {
    const answer = await fetch(url, options);
    if (answer.ok) return answer;
    const text = await answer.text();
    if (tried === TRIES || (answer.status !== 429 && answer.status < 500)) {
      throw new Error(`${url}: ${answer.status} ${text}`);
    }
    await sleep(1000 * (Number(answer.headers.get("retry-after")) || 2 ** tried / 4));
  }
}

/** A managed identity, in the form that the SDK takes for a credential. */
const identity = {
  async getToken(scope) {
    const resource = [scope].flat()[0].replace(/\/\.default$/, "");
    const query = new URLSearchParams({ resource, "api-version": "2019-08-01" });
    const headers = { "X-IDENTITY-HEADER": env.IDENTITY_HEADER };
    const token = await (await call(`${env.IDENTITY_ENDPOINT}?${query}`, { headers })).json();
    return { token: token.access_token, expiresOnTimestamp: 1000 * token.expires_on };
  },
};

/** A page is a post: far below the service's 30 MB, and it can leave while the next page is read. */
function dataCollector() {
  const key = Buffer.from(env.MDATP_WORKSPACE_KEY, "base64");
  const url = `${env.MDATP_COLLECTOR_URL}/api/logs?api-version=2016-04-01`;
  return async (records) => {
    const body = Buffer.from(JSON.stringify(records));
    const date = new Date().toUTCString();
    const text = `POST\n${body.length}\napplication/json\nx-ms-date:${date}\n/api/logs`;
    const signature = createHmac("sha256", key).update(text).digest("base64");
    const headers = {
      Authorization: `SharedKey ${env.MDATP_WORKSPACE_ID}:${signature}`,
      "Content-Type": "application/json",
      "Log-Type": "MDATPAlerts",
      "time-generated-field": "alertCreationTime",
      "x-ms-date": date,
    };
    const answer = await call(url, { method: "POST", headers, body });
    await answer.arrayBuffer();
  };
}

/** The SDK packs posts of at most 1 MB, compresses them off this thread and sends five at a time. */
async function logsIngestion() {
  const { LogsIngestionClient } = await import("@azure/monitor-ingestion");
  // The simulated endpoint is plain HTTP on this machine, over which the SDK's own policy gives no token.
  const options = { allowInsecureConnection: true };
  const client = new LogsIngestionClient(env.MDATP_INGESTION_ENDPOINT, identity, options);
  client.pipeline.removePolicy({ name: "bearerTokenAuthenticationPolicy" });
  let token;
  client.pipeline.addPolicy({
    name: "plainBearerToken",
    async sendRequest(request, next) {
      token ??= identity.getToken("https://monitor.azure.com/.default");
      request.headers.set("Authorization", `Bearer ${(await token).token}`);
      return next(request);
    },
  });
  return async (records) => {
    for (const record of records) record.TimeGenerated = record.alertCreationTime;
    await client.upload(env.MDATP_DCR_ID, STREAM, records);
  };
}

class Defender {
  known = new Map();

  constructor(token) {
    this.headers = { Authorization: `Bearer ${token}` };
  }

  async list(path, options) {
    const query = Object.entries(options).map(([name, value]) => `$${name}=${encodeURIComponent(value)}`);
    const answer = await call(`${env.MDATP_API_URL}${path}?${query.join("&")}`, { headers: this.headers });
    return (await answer.json()).value;
  }

  async *pages(since, until) {
    const filter = `alertCreationTime ge ${since.toISOString()} and alertCreationTime lt ${until.toISOString()}`;
    for (let skip = 0, length = PAGE; length === PAGE; skip += length) {
      const options = { filter, orderby: "alertCreationTime", top: PAGE, skip, expand: "evidence" };
      const page = await this.list("/api/alerts", options);
      length = page.length;
      yield page;
    }
  }

  /** Asks for the machines that are not known yet. */
  async learn(ids) {
    const wanted = [...ids].filter((id) => !this.known.has(id));
    const ask = async () => {
      while (wanted.length > 0) {
        const filter = `id in ("${wanted.splice(0, IDS_A_CALL).join('","')}")`;
        for (const { id, ...machine } of await this.list("/api/machines", { filter })) {
          this.known.set(id, { ...machine, machineId: id });
        }
      }
    };
    await Promise.all(Array.from({ length: CALLS_AT_ONCE }, ask));
  }
}

/** Everything of both; where they differ, the machine's is said under a name of its own. */
function union(alert, machine) {
  if (!machine) return alert;
  const record = { ...alert };
  for (const name in machine) {
    const value = machine[name];
    if (!(name in alert)) record[name] = value;
    else if (!same(alert[name], value)) record[`machine${name[0].toUpperCase()}${name.slice(1)}`] = value;
  }
  return record;
}

function same(one, other) {
  return one === other || (typeof one === "object" && JSON.stringify(one) === JSON.stringify(other));
}

async function run(send) {
  const until = new Date();
  const since = new Date(until - 24 * 3600 * 1000);
  const defender = new Defender((await identity.getToken(DEFENDER)).token);
  let sent = 0;
  let sending = Promise.resolve();
  for await (const alerts of defender.pages(since, until)) {
    await defender.learn(new Set(alerts.map((alert) => alert.machineId).filter(Boolean)));
    const records = alerts.map((alert) => union(alert, defender.known.get(alert.machineId)));
    // No more than one page waits.
    await sending;
    if (records.length > 0) sending = send(records);
    sent += records.length;
  }
  await sending;
  return sent;
}

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const send = env.MDATP_SINK === "data-collector" ? dataCollector() : await logsIngestion();
console.log("ready");
await lines.next();
try {
  console.log("done", await run(send));
} catch (problem) {
  // The SDK's errors carry the records that failed.
  console.error(problem.stack, problem.errors?.[0]?.cause?.stack ?? "");
  process.exit(1);
}
await lines.next();
process.exit();
