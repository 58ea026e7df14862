// Loaded into a gateway under test (node --expose-gc --import this): SIGUSR2 collects its garbage, so that what its
// metrics then call heap in use is what it really holds on to.
process.on('SIGUSR2', () => {
  for (let pass = 0; pass < 3; pass += 1) globalThis.gc();
});
