// Finishes the build that is named: finish-build.mjs BUILD [ERROR]
import {depot} from '@depot/sdk-node'

const headers = {Authorization: `Bearer ${process.env.DEPOT_TOKEN}`}
const [buildId, error] = process.argv.slice(2)
const result = error ? {case: 'error', value: {error}} : {case: 'success', value: {}}
await depot.build.v1.BuildService.finishBuild({buildId, result}, {headers})

console.log(JSON.stringify({finished: buildId}))
