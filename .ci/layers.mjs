// The layer table of src/, and biome.json written from it, so that editor, CI and this table agree.
//   node .ci/layers.mjs           writes biome.json
//   node .ci/layers.mjs --check   exits 1 when biome.json is out of date, or the tree breaks a law that biome can't see
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * From the bottom up: a layer imports layers above its line only. `packages` are import names (`*` matches within a segment); what is not
 * named is refused, for type imports too. `pure` layers get time, randomness and the network through arguments and ports.
 */
const layers = [
  { name: "core", imports: [], packages: ["zod", "devalue", "parse-duration"], pure: true },
  // zod for its types only: see type-only-zod.grit.
  { name: "sdk", imports: ["core"], packages: ["zod"], pure: true },
  { name: "engine", imports: ["core", "sdk"], packages: [], pure: true },
  { name: "steps", imports: ["core", "sdk"], packages: [] },
  { name: "visibility", imports: ["core"], packages: ["zod"] },
  { name: "objects", imports: ["core", "sdk", "engine"], packages: ["cloudflare:*", "@noble/hashes/*"] },
  // objects and sdk for their types only: the handle of a run, the registry.
  { name: "api", imports: ["core", "sdk", "visibility", "objects"], packages: ["hono", "hono/*", "@hono/zod-openapi", "standardwebhooks"] },
  { name: "client", imports: ["core", "sdk"], packages: [] },
  { name: "cli", imports: ["core", "client"], packages: ["node:*"], files: ["src/client/cli.ts", "src/client/cli/**"], console: true },
  // Its bindings call run objects in the same Worker, without HTTP in between.
  { name: "cloudflare", imports: ["core", "sdk", "visibility", "objects"], packages: ["cloudflare:*"] },
];

/** The composition roots, directly in src/: they may import every layer, and are the package's doors. */
const roots = ["worker", "segno", "index", "testing"];
const examples = ["#examples/**"];
const rootPackages = ["cloudflare:*", "hono", "hono/*", "@hono/zod-openapi"];

const limits = { functionLines: 60, fileLines: 400, complexity: 12, parameters: 4 };
const testLimits = { fileLines: 1000, complexity: 25 };

const clockAndWorld = [
  "fetch",
  "crypto",
  "setTimeout",
  "setInterval",
  "setImmediate",
  "clearTimeout",
  "clearInterval",
  "scheduler",
  "performance",
  "Temporal",
  "globalThis",
  "self",
  "global",
  "window",
  "process",
  "caches",
  "navigator",
  "WebSocket",
  "EventSource",
  "XMLHttpRequest",
  "MessageChannel",
];

const error = (options) => ({ level: "error", options });
const on = (...names) => Object.fromEntries(names.map((name) => [name, "error"]));
const off = (...names) => Object.fromEntries(names.map((name) => [name, "off"]));
const filesOf = (layer) => layer.files ?? [`src/${layer.name}/**`];
const wholeLayer = (name) => `#${name}/*.ts`;

function restrictImports(group, message) {
  return { noRestrictedImports: error({ patterns: [{ group, message }] }) };
}

function onlyImports(who, allowed) {
  const listed = ["./*.ts", ...allowed];
  return restrictImports(
    ["**", ...listed.map((name) => `!${name}`)],
    `${who} may import ${listed.join(", ")} and nothing else (the table is in .ci/layers.mjs).`,
  );
}

function layerOverride(layer) {
  const style = onlyImports(layer.name, [...layer.imports.map(wholeLayer), ...layer.packages]);
  if (layer.pure) {
    const why = `${layer.name} gets time, randomness and the world through arguments or ports.`;
    style.noRestrictedGlobals = error({ deniedGlobals: Object.fromEntries(clockAndWorld.map((name) => [name, why])) });
  }
  return { includes: filesOf(layer), linter: { rules: { style, ...(layer.console ? { suspicious: off("noConsole") } : {}) } } };
}

function rules() {
  return {
    preset: "recommended",
    complexity: {
      // tsc's noPropertyAccessFromIndexSignature asks for the opposite.
      ...off("useLiteralKeys"),
      ...on("useArrowFunction", "useOptionalChain", "noUselessUndefinedInitialization", "noBannedTypes", "noStaticOnlyClass"),
      noExcessiveCognitiveComplexity: error({ maxAllowedComplexity: limits.complexity }),
      noExcessiveLinesPerFunction: error({ maxLines: limits.functionLines }),
      useMaxParams: error({ max: limits.parameters }),
    },
    correctness: {
      // `return applyStep(state)` in an exhaustive switch of a void function is how we write it; tsc sees the rest.
      ...off("noVoidTypeReturn"),
      ...on("noUnusedImports", "noUnusedVariables", "noUnusedFunctionParameters", "noUnusedPrivateClassMembers", "useParseIntRadix"),
    },
    nursery: on("noFloatingPromises", "noMisusedPromises", "useExhaustiveSwitchCases"),
    performance: on("noBarrelFile", "noReExportAll"),
    style: {
      ...on("noDefaultExport", "noEnum", "noNamespace", "noNonNullAssertion", "noParameterProperties", "noParameterAssign"),
      ...on("useConst", "useImportType", "useThrowOnlyError", "useThrowNewError", "useNodejsImportProtocol", "useTemplate", "useSingleVarDeclarator"),
      ...on("noInferrableTypes", "noUselessElse", "noUnusedTemplateLiteral", "useAsConstAssertion", "useDefaultParameterLast"),
      noExcessiveLinesPerFile: error({ maxLines: limits.fileLines }),
      useConsistentArrayType: error({ syntax: "shorthand" }),
      useFilenamingConvention: error({ filenameCases: ["kebab-case"] }),
    },
    suspicious: {
      ...on("noExplicitAny", "noTsIgnore", "noConsole", "noVar", "noDoubleEquals", "noSkippedTests", "noFocusedTests", "useAwait"),
      noImportCycles: error({ ignoreTypes: true }),
    },
  };
}

function biomeJson() {
  const anyLayer = layers.filter((layer) => layer.files === undefined).map((layer) => wholeLayer(layer.name));
  return {
    $schema: "./node_modules/@biomejs/biome/configuration_schema.json",
    root: true,
    vcs: { enabled: true, clientKind: "git", useIgnoreFile: true },
    files: { includes: ["**", "!**/node_modules", "!**/dist", "!**/.wrangler", "!**/*.md", "!package-lock.json"] },
    formatter: { indentStyle: "space", indentWidth: 2, lineWidth: 160 },
    javascript: { formatter: { quoteStyle: "double", semicolons: "always", trailingCommas: "all", arrowParentheses: "always" } },
    assist: { actions: { source: { organizeImports: "on" } } },
    linter: { rules: rules() },
    plugins: [
      { path: "./.ci/no-clock.grit", includes: layers.filter((layer) => layer.pure).flatMap(filesOf) },
      { path: "./.ci/no-import-types.grit", includes: ["src/**"] },
      { path: "./.ci/no-empty-catch.grit", includes: ["src/**"] },
      { path: "./.ci/type-only-zod.grit", includes: ["src/sdk/**"] },
      { path: "./.ci/no-floating-platform.grit", includes: ["src/{objects,visibility,api}/**", "src/*.ts"] },
    ],
    overrides: [
      { includes: ["biome.json"], formatter: { enabled: false } },
      // A file of src/ that no line below knows imports nothing: the table comes first.
      { includes: ["src/**"], linter: { rules: { style: onlyImports("A file outside the layer table", []) } } },
      ...layers.map(layerOverride),
      {
        includes: roots.map((name) => `src/${name}.ts`),
        linter: { rules: { style: onlyImports("A composition root", [...anyLayer, ...rootPackages, ...examples]), performance: off("noBarrelFile") } },
      },
      // The one place that writes the log.
      { includes: ["src/worker.ts", "src/objects/console-log.ts"], linter: { rules: { suspicious: off("noConsole") } } },
      // Global types are declared by merging, and only a namespace merges.
      { includes: ["**/*.d.ts"], linter: { rules: { style: off("noNamespace") } } },
      {
        includes: ["test/**", "examples/**", "bench/**"],
        linter: {
          rules: {
            complexity: {
              ...off("noExcessiveLinesPerFunction", "noCommaOperator"),
              noExcessiveCognitiveComplexity: error({ maxAllowedComplexity: testLimits.complexity }),
            },
            style: {
              ...restrictImports(["**/src/**"], "Import src/ by #layer/x.ts."),
              noExcessiveLinesPerFile: error({ maxLines: testLimits.fileLines }),
            },
            suspicious: off("useAwait"),
          },
        },
      },
      { includes: ["test/**"], linter: { rules: { style: off("noNonNullAssertion") } } },
      {
        includes: ["examples/**"],
        linter: { rules: { style: restrictImports(["**/src/**", "node:*"], "An example imports #layer/x.ts and runs in a Worker.") } },
      },
      { includes: ["examples/**", "bench/**", "test/**", ".ci/**"], linter: { rules: { suspicious: off("noConsole") } } },
      {
        includes: ["src/worker.ts", "{test,examples,bench}/**/{worker,*-worker}.ts", "**/*.config.{ts,mjs}", ".ci/*-reporter.mjs"],
        linter: { rules: { style: off("noDefaultExport") } },
      },
    ],
  };
}

/** What biome can't see, as sentences. */
function brokenLaws(top) {
  const imports = JSON.parse(readFileSync(join(top, "package.json"), "utf8")).imports;
  const files = readdirSync(join(top, "src"), { recursive: true }).filter((file) => file.endsWith(".ts"));
  return [...layers.flatMap(upwardImports), ...files.flatMap((file) => misplaced(file, imports)), ...files.flatMap((file) => escapes(top, file))];
}

function upwardImports(layer, at) {
  const below = layers.slice(0, at).map((lower) => lower.name);
  return layer.imports.filter((name) => !below.includes(name)).map((name) => `.ci/layers.mjs: ${layer.name} imports ${name}, which does not stand before it.`);
}

function misplaced(file, imports) {
  const [folder, ...rest] = file.split("/");
  if (rest.length === 0) return roots.includes(file.slice(0, -3)) ? [] : [`src/${file}: only ${roots.join(", ")} stand directly in src/.`];
  if (!layers.some((layer) => layer.files === undefined && layer.name === folder)) return [`src/${file}: ${folder} is not in the layer table.`];
  if (imports[`#${folder}/*`] !== `./src/${folder}/*`) return [`package.json: "imports" lacks "#${folder}/*": "./src/${folder}/*".`];
  return [];
}

function escapes(top, file) {
  const lines = readFileSync(join(top, "src", file), "utf8").split("\n");
  return lines.flatMap((line, at) => (/@ts-(expect-error|nocheck)/.test(line) ? [`src/${file}:${at + 1}: the type checker is not switched off in src/.`] : []));
}

const top = fileURLToPath(new URL("..", import.meta.url));
const path = join(top, "biome.json");
const wanted = `${JSON.stringify(biomeJson(), null, 2)}\n`;
if (process.argv.includes("--check")) {
  const broken = brokenLaws(top);
  if (readFileSync(path, "utf8") !== wanted) broken.push("biome.json is not what .ci/layers.mjs writes: run `node .ci/layers.mjs`.");
  for (const sentence of new Set(broken)) console.error(sentence);
  process.exitCode = broken.length === 0 ? 0 : 1;
} else {
  writeFileSync(path, wanted);
}
