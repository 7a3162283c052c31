// Creates a build and lets the depot CLI build it with its token: build-with-cli.mjs DEPOT CONTEXT
import {spawnSync} from 'node:child_process'
import {depot} from '@depot/sdk-node'

const headers = {Authorization: `Bearer ${process.env.DEPOT_TOKEN}`}
const [command, context] = process.argv.slice(2)
const projectId = process.env.DEPOT_PROJECT_ID

const {buildId, buildToken} = await depot.build.v1.BuildService.createBuild({projectId}, {headers})
const env = {...process.env, DEPOT_BUILD_ID: buildId, DEPOT_TOKEN: buildToken, DEPOT_PROJECT_ID: projectId}
const {status, stdout, stderr} = spawnSync(command, ['build', '--progress', 'plain', context], {env, encoding: 'utf8'})

console.log(JSON.stringify({buildId, status, output: stdout + stderr}))
