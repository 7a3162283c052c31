// Reports health before there is an endpoint, gets it, reports again, gives it back, and reports once more:
// health-first.mjs BUILD
import {depot} from '@depot/sdk-node'

const headers = {Authorization: `Bearer ${process.env.DEPOT_TOKEN}`}
const PLATFORM_AMD64 = 1
const hold = {buildId: process.argv[2], platform: PLATFORM_AMD64}
const endpoints = depot.buildkit.v1.BuildKitService

async function* once() {
  yield hold
}
const report = () =>
  endpoints.reportHealth(once(), {headers}).then(
    () => 'ok',
    (error) => error.message,
  )

const before = await report()
let last
for await (const {connection} of endpoints.getEndpoint(hold, {headers})) last = connection.case
const during = await report()
await endpoints.releaseEndpoint(hold, {headers})
const after = await report()

console.log(JSON.stringify({before, last, during, after}))
