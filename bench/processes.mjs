// Processes under measurement: started until they say that they are ready, ended together.
import { spawn } from 'node:child_process';
import { once } from 'node:events';

const children = [];

/**
 * @param args of node
 * @param env besides PATH, HOME and, where it is set, DATABASE_URL with its ENCRYPTION_KEY
 * @param ready what the process prints when it is ready; its first group is the URL
 */
export async function startNode(args, env, ready) {
  const { PATH = '', HOME = '', DATABASE_URL, ENCRYPTION_KEY } = process.env;
  const child = spawn(process.execPath, args, {
    env: { PATH, HOME, ...(DATABASE_URL ? { DATABASE_URL, ENCRYPTION_KEY } : {}), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  let output = '';
  const url = await new Promise((resolve, reject) => {
    const read = (chunk) => {
      if (output.length > 1e6) return; // it has long been ready
      output += chunk;
      const found = ready.exec(output);
      if (found) resolve(found[1]);
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('exit', (code) => reject(new Error(`${args.at(-1)} ended with ${code}: ${output.slice(-2000)}`)));
  });
  return { child, url, output: () => output };
}

export async function endAll() {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    await gone;
  }
}
