import { html } from "hono/html";
import type { StepRecord } from "#core/command.ts";
import type { RunSummary } from "#core/run.ts";
import type { Control, FormField } from "./approval-form.ts";

/** The pages behind an approval's link: plain HTML that needs no script. Whatever comes from a run or a browser is escaped by `html`. */

export type Markup = ReturnType<typeof html>;

/** What a page asks. */
export interface Question {
  readonly run: RunSummary;
  readonly step: StepRecord;
  /** Who is asked by this link. */
  readonly assignee: string;
  readonly fields: readonly FormField[];
  /** What was filled in before and refused; null: nothing was. */
  readonly sent: URLSearchParams | null;
  /** What is wrong with it. */
  readonly issues: readonly string[];
}

export interface Page {
  readonly title: string;
  readonly body: Markup;
  /** Allows the page's one style, and no other. */
  readonly nonce: string;
}

/** A whole document. */
export function pageOf({ title, body, nonce }: Page): Markup {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${title}</title>
<style nonce="${nonce}">
:root { color-scheme: light dark; font: 100%/1.5 system-ui, sans-serif; }
body { max-width: 38rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.25rem 1rem; }
dd { margin: 0; overflow-wrap: anywhere; }
label { display: block; margin-top: 1rem; font-weight: 600; }
input:not([type="checkbox"]), select, textarea { box-sizing: border-box; width: 100%; padding: 0.5rem; font: inherit; }
small { display: block; }
button { margin: 1.5rem 1rem 0 0; padding: 0.6rem 1.4rem; font: inherit; cursor: pointer; }
.issues { border-left: 0.3rem solid #b3261e; padding-left: 1rem; }
</style>
</head>
<body>
<main>
<h1>${title}</h1>
${body}
</main>
</body>
</html>`;
}

/** Asks, and decides nothing: only its buttons send something. */
export function questionBody(question: Question): Markup {
  const { fields, sent, issues } = question;
  return html`${factsOf(question)}
${issues.length > 0 ? html`<div class="issues" role="alert"><p>Nothing was recorded. Please correct:</p><ul>${issues.map((issue) => html`<li>${issue}</li>`)}</ul></div>` : ""}
<form method="post">
${fields.map((field, nth) => fieldMarkup(field, nth, sent))}
<label for="comment">Comment (optional)</label>
<textarea id="comment" name="comment" rows="3" maxlength="4000">${sent?.get("comment") ?? ""}</textarea>
<button type="submit" name="decision" value="approved">Approve</button>
<button type="submit" name="decision" value="rejected" formnovalidate>Reject</button>
</form>`;
}

/** Says one thing. */
export function messageBody(message: string): Markup {
  return html`<p role="status">${message}</p>`;
}

function factsOf({ run, step, assignee }: Question): Markup {
  const others = (step.approval?.assignees ?? []).filter((name) => name !== assignee);
  return html`<p>${assignee}, your decision is needed.</p>
<dl>
<dt>Workflow</dt><dd>${run.workflow}</dd>
<dt>Run</dt><dd>${run.id}</dd>
<dt>Step</dt><dd>${step.key}</dd>
${others.length > 0 ? html`<dt>Also asked</dt><dd>${others.join(", ")}</dd>` : ""}
<dt>Asked</dt><dd>${timeMarkup(step.startedAt)}</dd>
${step.wakeAt === null ? "" : html`<dt>Decide before</dt><dd>${timeMarkup(step.wakeAt)}</dd>`}
</dl>`;
}

function timeMarkup(at: number): Markup {
  const iso = new Date(at).toISOString();
  return html`<time datetime="${iso}">${iso.slice(0, 16).replace("T", " ")} UTC</time>`;
}

function fieldMarkup(field: FormField, nth: number, sent: URLSearchParams | null): Markup {
  const { label, hint, isRequired } = field;
  const id = `field-${nth}`;
  return html`<label for="${id}">${label}${isRequired ? "" : " (optional)"}</label>
${controlMarkup(field, id, valueShown(field, sent))}
${hint === null ? "" : html`<small id="${id}-hint">${hint}</small>`}`;
}

/** What was sent before, or else the default. An unchecked box is not sent at all. */
function valueShown(field: FormField, sent: URLSearchParams | null): string {
  return sent === null ? field.initial : (sent.get(field.name) ?? "");
}

function controlMarkup(field: FormField, id: string, value: string): Markup {
  const { name, control, hint, isRequired } = field;
  const described = hint === null ? "" : html` aria-describedby="${id}-hint"`;
  const attributes = html`id="${id}" name="${name}"${described}${isRequired ? html` required` : ""}`;
  switch (control.type) {
    case "text":
      return html`<input type="${control.input}" ${attributes} value="${value}">`;
    case "number":
      return html`<input type="number" ${attributes} value="${value}" ${numberAttributes(control)}>`;
    case "checkbox":
      return html`<input type="checkbox" ${attributes} value="true"${value === "" ? "" : html` checked`}>`;
    case "choice":
      return html`<select ${attributes}><option value=""></option>${control.options.map((option) => optionMarkup(option, value))}</select>`;
    case "json":
      return html`<textarea ${attributes} rows="4" spellcheck="false" placeholder="JSON">${value}</textarea>`;
    default:
      return control satisfies never;
  }
}

function numberAttributes({ isWhole, min, max }: Extract<Control, { type: "number" }>): Markup {
  return html`step="${isWhole ? "1" : "any"}"${min === null ? "" : html` min="${min}"`}${max === null ? "" : html` max="${max}"`}`;
}

function optionMarkup(option: unknown, value: string): Markup {
  const text = JSON.stringify(option);
  return html`<option value="${text}"${text === value ? html` selected` : ""}>${typeof option === "string" ? option : text}</option>`;
}
