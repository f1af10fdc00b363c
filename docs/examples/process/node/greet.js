#!/usr/bin/env node
// A function in JavaScript that speaks the line protocol itself.
'use strict';

const readline = require('readline');

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const { context, payload } = JSON.parse(line);
  const name = payload && payload.name;
  let answer = { error: { category: 'InputError', type: 'NoName', message: 'name is missing' } };
  if (name) {
    console.error('greeting', name);
    answer = { payload: { hello: name, from: 'node' } };
  }
  console.log(JSON.stringify({ ...answer, executionId: context.executionId }));
});
