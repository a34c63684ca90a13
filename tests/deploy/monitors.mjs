// monitors.mjs MODULES OBJECTS.json: objects of the Prometheus operator held to its own definitions, which a package of npm has as
// types (no field that they do not know) and as checks of values. MODULES is the folder that it is installed in.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, file] = process.argv.slice(2).map((path) => resolve(path));
const definitions = "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1";
const objects = JSON.parse(readFileSync(file, "utf8")).filter((o) => o.apiVersion === "monitoring.coreos.com/v1");
const problems = objects.length ? [] : ["there is none"];
const lines = [];
for (const [i, object] of objects.entries()) {
  const kind = object.kind;
  const module = await import(pathToFileURL(join(folder, "node_modules", definitions, `${kind}.js`)));
  try {
    new module[kind](object).validate();
  } catch (e) {
    problems.push(`${kind} ${object.metadata.name}: ${e.message}`);
  }
  lines.push(`import type { I${kind} as T${i} } from "${definitions}/${kind}";`, `export const o${i}: T${i} = ${JSON.stringify(object, null, 1)};`);
}
writeFileSync(join(folder, "objects.ts"), lines.join("\n"));
try {
  const tsc = join(folder, "node_modules/typescript/bin/tsc");
  execFileSync(process.execPath, [tsc, "--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", "objects.ts"], { cwd: folder });
} catch (e) {
  problems.push(String(e.stdout ?? e));
}
console.log(problems.join("\n") || `${objects.length} objects of the Prometheus operator`);
process.exit(problems.length ? 1 : 0);
