// Who comes in: an API key, kept for this tab alone.

import { html, useState } from "../static/vendor/preact.min.js";
import { Problem } from "./widgets.js";

const SAID = {
  401: "This key is not valid here: it was mistyped, revoked, or is over.",
  403: "This key may not look at this server: it lacks the scope read.",
  429: "That were many tries at once. Wait a few seconds.",
};

/** `error` is what became of the last key; `enter(key)` tries one. */
export function Login({ error, enter }) {
  const [value, set] = useState("");
  const [busy, wait] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    wait(true);
    await enter(value.trim());
    wait(false);
  };
  return html`<main class="login">
    <h1><img src="static/icon.svg" alt="" width="32" height="32" />Egress</h1>
    <p>This server asks who you are. Whoever runs it makes an API key on its machine:</p>
    <pre><code>egress keys add NAME --scope admin</code></pre>
    <form onSubmit=${submit}>
      <label class="field"><span>API key</span>
        <input type="password" autocomplete="current-password" autofocus required aria-invalid=${error ? "true" : null}
          value=${value} onInput=${(e) => set(e.target.value)} />
      </label>
      <${Problem} error=${error && { message: SAID[error.status] || error.message }} />
      <button class="main" disabled=${busy}>Enter</button>
    </form>
  </main>`;
}
