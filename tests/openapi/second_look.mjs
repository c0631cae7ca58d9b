// What Redocly finds in a description by its recommended rules: one line a finding.

import { createConfig, lint } from "@redocly/openapi-core";

const problems = await lint({ ref: process.argv[2], config: await createConfig({ extends: ["recommended"] }) });
for (const { ruleId, location } of problems) console.log(`${ruleId} ${location[0]?.pointer}`);
