// Talking to the server: what comes back is an answer, a refusal, or "later".

// The network or the server is in trouble; the same request may be sent again.
export class Unreachable extends Error {}

// The session has ended; the same request works after signing in.
export class SignedOut extends Error {}

// The server has read the request and does not want it; the message is for the person.
export class Refused extends Error {}

// This person's part in the project is paused; the message says why.
export class Paused extends Error {}

// Something waits, but others are asked just now; `at` is when it may be this person's turn.
export class NotAsked extends Error {
  constructor(seconds) {
    super("not asked just now");
    this.at = new Date(Date.now() + 1000 * seconds);
  }
}

const ANSWERS = [Refused, SignedOut, Paused, NotAsked];
const PATIENCE_MS = 15_000;

export function csrfToken() {
  return document.cookie.match(/(?:^|;\s*)csrftoken=([^;]+)/)?.[1] ?? "";
}

// The reply as an object, as text if it is HTML, as null if it is empty.
export function post(url, body) {
  const headers = { "Content-Type": "application/json", "X-CSRFToken": csrfToken() };
  return ask(url, { method: "POST", headers, body: JSON.stringify(body) });
}

export function get(url) {
  return ask(url, {});
}

async function ask(url, request) {
  let response;
  try {
    response = await fetch(url, {
      ...request,
      redirect: "manual",
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    return await read(response);
  } catch (error) {
    if (ANSWERS.some((kind) => error instanceof kind)) throw error;
    throw new Unreachable(error.message);
  }
}

async function read(response) {
  if (response.status === 204) {
    const seconds = response.headers.get("Retry-After");
    if (seconds) throw new NotAsked(Number(seconds));
    return null;
  }
  const isJson = (response.headers.get("Content-Type") ?? "").startsWith("application/json");
  if (response.ok) return isJson ? response.json() : response.text();
  if (isJson && response.status < 500) {
    const { error, paused } = await response.json();
    throw paused ? new Paused(error) : new Refused(error);
  }
  if (response.type === "opaqueredirect" || response.status === 403) throw new SignedOut();
  if (response.status === 404) throw new Refused("");
  throw new Error(`status ${response.status}`);
}

// For a page that is being left: nobody waits for the answer.
export function postAndLeave(url, body) {
  const form = new FormData();
  form.set("csrfmiddlewaretoken", csrfToken());
  form.set("json", JSON.stringify(body));
  navigator.sendBeacon(url, form);
}
