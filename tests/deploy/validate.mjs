// Holds every document of a manifest file to the schema of its kind; the packages are those of npm.
import fs from 'node:fs'; import yaml from 'yaml';
const text = fs.readFileSync(process.argv[2], 'utf8');
for (const doc of yaml.parseAllDocuments(text)) {
  const o = doc.toJS(); const g = o.apiVersion;
  const m = await import(`kubernetes-models/${g}/${o.kind}`).catch(() => null) ?? await import(`kubernetes-models/${g}/${o.kind}.js`);
  const C = m[o.kind]; new C(o).validate(); console.log('ok', g, o.kind);
}
