import boto3, json, time
c=boto3.client("codebuild"); e=boto3.client("ecr")
uri=e.create_repository(repositoryName="team/app")["repository"]["repositoryUri"]
cmds=["printf 'FROM tiny:base\\nARG RELEASE\\nLABEL r=$RELEASE\\nCOPY a /a\\n' > Dockerfile; echo a > a",
 f"echo secret | docker login --username AWS --password-stdin {uri.split('/')[0]}",
 f"docker build --tag {uri}:r1 --file Dockerfile --build-arg RELEASE=r1 .", f"docker push {uri}:r1"]
c.create_project(name="real",source={"type":"NO_SOURCE","buildspec":json.dumps({"version":"0.2","phases":{"build":{"commands":cmds}}})},artifacts={"type":"NO_ARTIFACTS"},environment={"type":"LINUX_CONTAINER","image":"x","computeType":"BUILD_GENERAL1_SMALL"},serviceRole="arn:aws:iam::000000000000:role/build")
b=c.start_build(projectName="real")["build"]["id"]
while c.batch_get_builds(ids=[b])["builds"][0]["buildStatus"]=="IN_PROGRESS": time.sleep(.5)
print(open(f"/tmp/engine/state/logs/codebuild/real/{b.split(':')[1]}.log").read())
print(e.list_images(repositoryName="team/app")["imageIds"])
