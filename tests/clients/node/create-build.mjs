// Creates a build in DEPOT_PROJECT_ID and prints its id and token.
import {depot} from '@depot/sdk-node'

const headers = {Authorization: `Bearer ${process.env.DEPOT_TOKEN}`}
const build = await depot.build.v1.BuildService.createBuild({projectId: process.env.DEPOT_PROJECT_ID}, {headers})

console.log(JSON.stringify({buildId: build.buildId, buildToken: build.buildToken}))
