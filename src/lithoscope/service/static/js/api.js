// Requests to the service that this page came from; nothing else is ever asked.

const BASE = new URL("../../", import.meta.url);
const TIMEOUT_MS = 30000;
const TOKEN = "lithoscope-token";

export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Address below the service, with a query of the values that are set. */
export function address(path, query = {}) {
  const url = new URL(path, BASE);
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, value);
  }
  return url;
}

async function request(path, { query, ...options } = {}) {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  let response;
  try {
    response = await fetch(address(path, query), { signal, credentials: "same-origin", ...options });
  } catch (error) {
    const late = error.name === "TimeoutError";
    throw new ApiError(late ? "The server did not answer within 30 s." : "The server cannot be reached.", 0);
  }
  if (response.status === 204) return null;
  let body = null;
  try {
    body = await response.json();
  } catch {
    throw new ApiError(`The server answered ${response.status} with something that is not JSON.`, response.status);
  }
  if (!response.ok) throw new ApiError(detail(body) || `The server answered ${response.status}.`, response.status);
  return body;
}

function detail(body) {
  if (!body) return "";
  if (typeof body.detail === "string") return body.detail;
  if (Array.isArray(body.detail)) return body.detail.map((item) => item.msg ?? "").join("; ");
  return "";
}

export const get = (path, query) => request(path, { query });

/** Send JSON as the operator; fails with status 401 or 403 where the token is not accepted. */
export function post(path, body) {
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${token()}` };
  return request(path, { method: "POST", headers, body: JSON.stringify(body) });
}

export function getAsOperator(path, query) {
  return request(path, { query, headers: { Authorization: `Bearer ${token()}` } });
}

/** The operator's token lives in this tab only. */
export function token() {
  return sessionStorage.getItem(TOKEN) ?? "";
}

export function setToken(value) {
  if (value) sessionStorage.setItem(TOKEN, value);
  else sessionStorage.removeItem(TOKEN);
  dispatchEvent(new CustomEvent("operator"));
}

export const part = encodeURIComponent;
