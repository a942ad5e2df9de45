// Runs `promptfoo eval` for many folders in one process: its start-up would cost more than all runs.
//
// Standard input: one JSON line a run, {"folder", "arguments", "environment"}. Standard output: one
// JSON line a run, {"exit_code", "printed"}, marked, as promptfoo prints, too. The command line is
// promptfoo's own `main`, which it does not export; a hook adds the export as the file is read, so
// that what is installed stays as it is.
import { registerHooks } from 'node:module';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const entry = pathToFileURL(process.argv[2]).href;
const MARK = '\u0001parity ';

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (url !== entry) return loaded;
    return { ...loaded, source: `${loaded.source}\nexport { main };\n` };
  },
});

const write = process.stdout.write.bind(process.stdout);
let printed = '';
const keep = (chunk) => {
  printed += String(chunk);
  return true;
};
process.stdout.write = keep;
process.stderr.write = keep;

class Exit extends Error {}
const exit = process.exit.bind(process);
process.exit = (code) => {
  process.exitCode = code ?? process.exitCode;
  throw new Exit();
};

const { main } = await import(entry);
for await (const line of createInterface({ input: process.stdin })) {
  const { folder, arguments: words, environment } = JSON.parse(line);
  printed = '';
  process.exitCode = 0;
  Object.assign(process.env, environment);
  process.chdir(folder);
  process.argv = [process.argv[0], entry, ...words];
  try {
    await main();
  } catch (error) {
    if (!(error instanceof Exit)) {
      printed += `${error.stack ?? error}`;
      process.exitCode ||= 1;
    }
  }
  write(`${MARK}${JSON.stringify({ exit_code: process.exitCode ?? 0, printed })}\n`);
}
exit(0);
