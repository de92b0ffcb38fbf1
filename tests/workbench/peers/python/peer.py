"""What mdatp-forward does, in Python: the alerts of the last day, each joined with its machine, into Log Analytics.

The benchmark compares mdatp-forward with it, so it is as fast as these libraries let a plain program be. Connections
are reused, each machine is looked up once, up to 30 machines per call and eight calls at a time, and a page is sent
while the next one is read. It prints ready when it is loaded and done when everything is sent, and waits for a line
after both, so that its time, processor time and memory can be measured from outside.
"""

import base64
import gzip
import hashlib
import hmac
import io
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from email.utils import formatdate
from typing import NamedTuple

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

DEFENDER = "https://api.securitycenter.microsoft.com/.default"
STREAM = "Custom-MDATPAlerts_CL"
PAGE = 1000
IDS_A_CALL = 30
CALLS_AT_ONCE = 8
# The service takes 1,048,576; brackets and commas are counted.
INGESTION_LIMIT = 1_000_000


class Token(NamedTuple):
    token: str
    expires_on: int


class Identity:
    """A managed identity, in the form that the SDK takes for a credential."""

    def __init__(self, session):
        self.session = session

    def get_token(self, *scopes, **_):
        answer = self.session.get(
            os.environ["IDENTITY_ENDPOINT"],
            params={"resource": scopes[0].removesuffix("/.default"), "api-version": "2019-08-01"},
            headers={"X-IDENTITY-HEADER": os.environ["IDENTITY_HEADER"]},
        )
        answer.raise_for_status()
        token = answer.json()
        return Token(token["access_token"], int(token["expires_on"]))


class DataCollector:
    """A page is a post: far below the service's 30 MB, and it can leave while the next page is read."""

    def __init__(self, _identity):
        self.session = patient_session()
        self.url = os.environ["MDATP_COLLECTOR_URL"] + "/api/logs?api-version=2016-04-01"
        self.workspace = os.environ["MDATP_WORKSPACE_ID"]
        self.key = base64.b64decode(os.environ["MDATP_WORKSPACE_KEY"])

    def send(self, records):
        body = compact(records)
        date = formatdate(usegmt=True)
        text = f"POST\n{len(body)}\napplication/json\nx-ms-date:{date}\n/api/logs"
        signature = base64.b64encode(hmac.digest(self.key, text.encode(), hashlib.sha256)).decode()
        headers = {
            "Authorization": f"SharedKey {self.workspace}:{signature}",
            "Content-Type": "application/json",
            "Log-Type": "MDATPAlerts",
            "time-generated-field": "alertCreationTime",
            "x-ms-date": date,
        }
        self.session.post(self.url, data=body, headers=headers).raise_for_status()


class LogsIngestion:
    """Posts are packed here and handed to the SDK as streams. Given a list, it writes each record twice and leaves
    the commas out of its count, so that now and then a post is refused for its size."""

    def __init__(self, identity):
        from azure.monitor.ingestion import LogsIngestionClient

        self.rule = os.environ["MDATP_DCR_ID"]
        self.client = LogsIngestionClient(os.environ["MDATP_INGESTION_ENDPOINT"], identity)

    def send(self, records):
        post, size = [], 2
        for record in records:
            record["TimeGenerated"] = record["alertCreationTime"]
            text = compact(record)
            if post and size + len(text) + 1 > INGESTION_LIMIT:
                self.upload(post)
                post, size = [], 2
            post.append(text)
            size += len(text) + 1
        if post:
            self.upload(post)

    def upload(self, post):
        body = gzip.compress(b"[" + b",".join(post) + b"]", compresslevel=1)
        # The simulated endpoint is plain HTTP on this machine.
        self.client.upload(self.rule, STREAM, io.BytesIO(body), enforce_https=False)


class Defender:
    def __init__(self, identity):
        self.session = patient_session()
        self.url = os.environ["MDATP_API_URL"]
        self.session.headers["Authorization"] = f"Bearer {identity.get_token(DEFENDER).token}"
        self.known = {}

    def list(self, path, **options):
        answer = self.session.get(self.url + path, params={f"${name}": value for name, value in options.items()})
        answer.raise_for_status()
        return json.loads(answer.content)["value"]

    def pages(self, since, until):
        times = f"alertCreationTime ge {since:%Y-%m-%dT%H:%M:%S.%fZ} and alertCreationTime lt {until:%Y-%m-%dT%H:%M:%S.%fZ}"
        skip, is_full = 0, True
        while is_full:
            page = self.list(
                "/api/alerts", filter=times, orderby="alertCreationTime", top=PAGE, skip=skip, expand="evidence"
            )
            yield page
            skip += len(page)
            is_full = len(page) == PAGE

    def learn(self, ids, pool):
        """Asks for the machines that are not known yet."""
        new = [id for id in ids if id not in self.known]
        calls = [new[at : at + IDS_A_CALL] for at in range(0, len(new), IDS_A_CALL)]
        filters = ('id in ("{}")'.format('","'.join(call)) for call in calls)
        for machines in pool.map(lambda filter: self.list("/api/machines", filter=filter), filters):
            for machine in machines:
                id = machine.pop("id")
                self.known[id] = machine | {"machineId": id}


def union(alert, machine):
    """Everything of both; where they differ, the machine's is said under a name of its own."""
    record = machine | alert
    for name in alert.keys() & machine.keys():
        if alert[name] != machine[name]:
            record[f"machine{name[0].upper()}{name[1:]}"] = machine[name]
    return record


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()


def patient_session():
    """A session that keeps its connections and tries again what may pass."""
    session = requests.Session()
    retry = Retry(total=5, backoff_factor=0.5, status_forcelist=[429, 500, 502, 503, 504], allowed_methods=None)
    for scheme in "http://", "https://":
        session.mount(scheme, HTTPAdapter(max_retries=retry, pool_maxsize=CALLS_AT_ONCE))
    return session


def run(identity, sink):
    until = datetime.now(timezone.utc)
    defender = Defender(identity)
    sent = 0
    with ThreadPoolExecutor(CALLS_AT_ONCE) as look_ups, ThreadPoolExecutor(1) as sender:
        sending = sender.submit(lambda: None)
        for alerts in defender.pages(until - timedelta(days=1), until):
            defender.learn({alert["machineId"] for alert in alerts if alert["machineId"]}, look_ups)
            records = [union(alert, defender.known.get(alert["machineId"], {})) for alert in alerts]
            # No more than one page waits.
            sending.result()
            if records:
                sending = sender.submit(sink.send, records)
            sent += len(records)
        sending.result()
    return sent


def main():
    identity = Identity(patient_session())
    sinks = {"data-collector": DataCollector, "logs-ingestion": LogsIngestion}
    sink = sinks[os.environ["MDATP_SINK"]](identity)
    print("ready", flush=True)
    sys.stdin.readline()
    print("done", run(identity, sink), flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main()
