// Requests to the server of the poll.

export const PATIENCE = 30_000; // milliseconds

/** Return the status and the JSON of an answer; status 0 where the server cannot be reached or does not answer itself.

    Proxies, and networks that ask for a login, answer in its place with pages of their own.
    body: what is sent, if anything. patience: in milliseconds; none for as long as it takes. */
export async function call(address, body = null, patience = PATIENCE) {
  const sent = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const signal = patience ? AbortSignal.timeout?.(patience) : undefined;
  try {
    const answer = await fetch(address, { ...sent, signal });
    return { status: answer.status, said: (await answer.json()) ?? {} };
  } catch {
    return { status: 0, said: {} };
  }
}
